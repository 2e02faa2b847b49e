import type { Ledger } from '../ledger/ledger.ts';
import type { Actor } from '../ledger/record.ts';
import type { Clock } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { metricsErrors } from './errors.ts';
import type { MetricsSource } from './source.ts';

/** Longer than any look needs to notice, short enough that a bad version is not left alone for long. */
export const MAX_SILENCE_MS = 30_000;

export interface SilenceWish {
  /** 1 to `MAX_SILENCE_MS`. */
  forMs: number;
  reason: string;
}

/** A source of counts that can be made to fail for a while, to rehearse what the releases do without metrics. */
export interface SilenceableMetrics extends MetricsSource {
  /**
   * Every reading fails until the lease is over. Resolves when the record is durable and the silence in force.
   * Rejects with `metrics/already-silent`, `metrics/silence-refused`, or as the ledger does; then nothing was silenced.
   */
  silence(wish: SilenceWish, actor: Actor): Promise<{ untilMs: number }>;
}

export interface SilenceParts {
  source: MetricsSource;
  ledger: Pick<Ledger, 'append'>;
  clock: Clock;
  /** Why nothing may be rehearsed now; null when it may. */
  refusal: () => string | null;
  onNotice: (message: string) => void;
}

/**
 * The lease is checked at every reading, on the monotonic clock, and is held in memory only: it ends without anyone's
 * doing, and with the process at the latest. `metrics.silence.begun` carries `untilMs`, so that a ledger without the
 * record of the end (the controller was killed) still says when it was over.
 */
export function silenceable(parts: SilenceParts): SilenceableMetrics {
  const { source, ledger, clock, refusal, onNotice } = parts;
  let quietUntilMonoMs = Number.NEGATIVE_INFINITY;
  let beginning = false;
  const isSilent = (): boolean => clock.monoMs() < quietUntilMonoMs;

  function ended(actor: Actor): void {
    const record = { type: 'metrics.silence.ended', stream: 'metrics', actor, data: { atMs: clock.nowMs() } };
    ledger
      .append([record], { reserve: true })
      .catch((error: unknown) => onNotice(`the end of the silence could not be recorded: ${messageOf(error)}`));
  }

  return {
    async read() {
      if (isSilent()) throw new DavyError(metricsErrors.silenced, 'The metrics are silenced by a rehearsal.');
      return source.read();
    },
    async silence({ forMs, reason }, actor) {
      if (!(forMs >= 1 && forMs <= MAX_SILENCE_MS))
        throw new RangeError(`forMs is ${forMs}, not 1 to ${MAX_SILENCE_MS}`);
      if (beginning || isSilent()) throw new DavyError(metricsErrors['already-silent'], 'The metrics are silenced.');
      const why = refusal();
      if (why !== null) throw new DavyError(metricsErrors['silence-refused'], `The metrics are not silenced: ${why}.`);
      beginning = true;
      try {
        const untilMs = clock.nowMs() + forMs;
        const untilMonoMs = clock.monoMs() + forMs;
        const data = { forMs, untilMs, reason };
        await ledger.append([{ type: 'metrics.silence.begun', stream: 'metrics', actor, data }]);
        quietUntilMonoMs = untilMonoMs;
        clock.after(Math.max(0, untilMonoMs - clock.monoMs()), () => ended(actor), true);
        return { untilMs };
      } finally {
        beginning = false;
      }
    },
  };
}

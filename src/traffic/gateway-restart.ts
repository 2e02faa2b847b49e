import type { Ledger } from '../ledger/ledger.ts';
import type { Actor } from '../ledger/record.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';

export interface GatewayRestart {
  /** The process that serves now. */
  pid: number;
  /** From the asking to its serving, ms. */
  tookMs: number;
}

type Restart = (reason: string, actor: Actor, key?: string) => Promise<GatewayRestart>;

/** Keys of restarts that this controller remembers. */
const MAX_KEYS = 100;

interface RestartParts {
  ledger: Pick<Ledger, 'append'>;
  clock: Clock;
  /** Puts a new process in the place of the gateway. */
  renew: () => Promise<{ pid: number }>;
  onNotice: (message: string) => void;
}

/**
 * A restart that stands in the ledger: `gateway.restart.requested` is durable before anything happens, `gateway.restart.completed` or
 * `.failed` says what came of it. Nothing is restarted when the first cannot be written. Without a second record the controller died
 * meanwhile; the gateway then ended its hand-over, or gave it up, alone. The same key again gets the answer of the first
 * time, or waits for it; a failure is forgotten, so that asking again tries again.
 */
export function recordedRestart(parts: RestartParts): Restart {
  const { ledger, clock, renew, onNotice } = parts;

  async function record(type: string, actor: Actor, data: Record<string, string | number>): Promise<void> {
    await ledger.append([{ type, stream: 'gateway', actor, data }]);
  }

  const restart: Restart = async (reason, actor) => {
    await record('gateway.restart.requested', actor, { reason });
    const startMs = clock.monoMs();
    const tookMs = (): number => Math.round(clock.monoMs() - startMs);
    // What happened has happened: a ledger that fails now does not change the answer.
    const tell = (outcome: 'completed' | 'failed', data: Record<string, string | number>): Promise<void> =>
      record(`gateway.restart.${outcome}`, actor, data).catch((error: unknown) =>
        onNotice(`what came of the gateway's restart could not be recorded: ${messageOf(error)}`),
      );
    try {
      const restarted = { ...(await renew()), tookMs: tookMs() };
      await tell('completed', restarted);
      return restarted;
    } catch (error) {
      await tell('failed', { tookMs: tookMs(), why: messageOf(error) });
      throw error;
    }
  };
  const byKey = new Map<string, Promise<GatewayRestart>>();
  return (reason, actor, key) => {
    if (key === undefined) return restart(reason, actor);
    const before = byKey.get(key);
    if (before) return before;
    const restarting = restart(reason, actor);
    byKey.set(key, restarting);
    restarting.catch(() => byKey.delete(key));
    if (byKey.size > MAX_KEYS) byKey.delete(byKey.keys().next().value as string);
    return restarting;
  };
}

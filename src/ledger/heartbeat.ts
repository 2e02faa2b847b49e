import type { Cancel, Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';
import { HEARTBEAT, HEARTBEAT_EVERY_MS } from './completeness.ts';
import { LEDGER_STREAM } from './facts.ts';
import type { Ledger } from './ledger.ts';

/** Writes a record whenever nothing was written for a minute, so that silence in the ledger means that its writer was gone. */
export function startHeartbeat(ledger: Ledger, clock: Clock, onProblem: (message: string) => void): { stop(): void } {
  let lastMs = clock.monoMs();
  let cancel: Cancel | null = null;
  let stopped = false;
  const leave = ledger.subscribe(() => {
    lastMs = clock.monoMs();
  });
  const beat = (): void => {
    if (stopped) return;
    const dueMs = lastMs + HEARTBEAT_EVERY_MS - clock.monoMs();
    if (dueMs > 0) {
      cancel = clock.after(dueMs, beat, true);
      return;
    }
    lastMs = clock.monoMs();
    ledger
      .append([{ type: HEARTBEAT, stream: LEDGER_STREAM, data: {} }])
      .catch((error: unknown) => onProblem(`The heartbeat could not be written: ${messageOf(error)}.`));
    cancel = clock.after(HEARTBEAT_EVERY_MS, beat, true);
  };
  beat();
  return {
    stop() {
      stopped = true;
      cancel?.();
      leave();
    },
  };
}

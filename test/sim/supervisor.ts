import { afterEnd, type Ended, nothingSupervised } from '../../src/cli/supervision.ts';
import type { Clock } from '../../src/lib/clock.ts';

/** `davy up`, as the product decides it: when the next controller is started, what is said, and whether it gives up. */
export function createSupervisor(options: { clock: Clock; somethingRuns: () => boolean }) {
  const { clock } = options;
  let state = nothingSupervised;
  let dueMs = 0;
  let gaveUp: string | null = null;
  /** Since a controller was ready last. */
  let said: string[] = [];

  return {
    /** A controller has ended; the next one is not started before `downMs` either. */
    ended(ended: Ended, downMs: number): void {
      if (ended.wasReady) said = [];
      const next = afterEnd(state, ended, options.somethingRuns());
      if (next.kind !== 'again') {
        gaveUp = next.kind;
        return;
      }
      state = next.state;
      dueMs = clock.monoMs() + Math.max(next.waitMs, downMs);
      if (next.says !== null) said.push(next.says);
    },
    /** True once for every start that is due. */
    takeStart(): boolean {
      if (gaveUp !== null || clock.monoMs() < dueMs) return false;
      dueMs = Number.POSITIVE_INFINITY;
      return true;
    },
    gaveUp: () => gaveUp,
    said: () => said,
  };
}

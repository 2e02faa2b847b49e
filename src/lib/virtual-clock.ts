import type { Cancel, Clock } from './clock.ts';

interface Timer {
  dueMs: number;
  order: number;
  fn: () => void;
}

/** A clock that moves only when told to; timers fire in due order, ties in the order they were set. */
export interface VirtualClock extends Clock {
  /**
   * Moves time forward by `ms`, firing due timers one by one. Between timers it lets promise callbacks settle,
   * so code under test sees the same interleaving in every run.
   */
  advance(ms: number): Promise<void>;
  /** Steps the wall clock without moving monotonic time (an operator or NTP set it). */
  stepWall(ms: number): void;
}

/** Number of macrotask turns given to pending promise chains after each timer. */
const SETTLE_TURNS = 2;

export function createVirtualClock(startMs = Date.UTC(2026, 0, 1)): VirtualClock {
  let mono = 0;
  let wallOffset = startMs;
  let order = 0;
  const timers = new Set<Timer>();

  async function settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
  }

  function nextDue(untilMs: number): Timer | undefined {
    let best: Timer | undefined;
    for (const timer of timers) {
      if (timer.dueMs > untilMs) continue;
      if (!best || timer.dueMs < best.dueMs || (timer.dueMs === best.dueMs && timer.order < best.order)) best = timer;
    }
    return best;
  }

  return {
    nowMs: () => wallOffset + mono,
    monoMs: () => mono,
    after(delayMs, fn): Cancel {
      const timer: Timer = { dueMs: mono + Math.max(0, delayMs), order: order++, fn };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const untilMs = mono + ms;
      await settle();
      for (let timer = nextDue(untilMs); timer; timer = nextDue(untilMs)) {
        timers.delete(timer);
        mono = Math.max(mono, timer.dueMs);
        timer.fn();
        await settle();
      }
      mono = untilMs;
    },
    stepWall(ms) {
      wallOffset += ms;
    },
  };
}

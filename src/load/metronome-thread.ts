import { workerData } from 'node:worker_threads';
import type { MetronomeCells } from './metronome.ts';

/** The thread of `createMetronome`: sleeps until the time that was asked for, then rings. */
const { asked, rung, closed, dueMs } = workerData as MetronomeCells;

let seen = 0;
while (Atomics.load(closed, 0) === 0) {
  Atomics.wait(asked, 0, seen);
  seen = Atomics.load(asked, 0);
  const waitMs = dueMs[0]! - Number(process.hrtime.bigint()) / 1e6;
  // Another call comes first: it replaces this one.
  if (waitMs > 0 && Atomics.wait(asked, 0, seen, waitMs) !== 'timed-out') continue;
  Atomics.store(rung, 0, seen);
  Atomics.notify(rung, 0);
}

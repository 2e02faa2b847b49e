import { workerData } from 'node:worker_threads';
import type { MetronomeCells } from './metronome.ts';

/** The thread of `createMetronome`: sleeps until the time that was asked for, then rings. */
const { asked, rung, closed, dueMs } = workerData as MetronomeCells;

let done = 0;
while (Atomics.load(closed, 0) === 0) {
  const call = Atomics.load(asked, 0);
  if (call === done) {
    Atomics.wait(asked, 0, call);
    continue;
  }
  const waitMs = dueMs[0]! - Number(process.hrtime.bigint()) / 1e6;
  if (waitMs > 0) {
    // Woken before the time is over by a call that replaces this one, or by the notice of this one, which comes late when the call
    // was seen without it. To tell them apart by the answer of `wait` lost the second: the thread slept on, and no request was sent.
    Atomics.wait(asked, 0, call, waitMs);
    continue;
  }
  done = call;
  Atomics.store(rung, 0, call);
  Atomics.notify(rung, 0);
}

import { performance } from 'node:perf_hooks';

let last = performance.now();

/** Monotonic milliseconds, read now. */
export function stamp(): number {
  last = performance.now();
  return last;
}

/** The last stamp: as good as now for idle times of seconds, where one was taken in the same turn, and free. */
export function recent(): number {
  return last;
}

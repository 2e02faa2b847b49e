import { performance } from 'node:perf_hooks';

/** Stops a pending timer; calling it twice is harmless. */
export type Cancel = () => void;

/**
 * Time as a dependency. Durations are measured on `monoMs` (never steps back); `nowMs` is for display and records only.
 * `system-clock` is the only place that reads the machine's clock; tests and the simulation pass a virtual one.
 */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May step. */
  nowMs(): number;
  /** Monotonic milliseconds from an arbitrary origin. */
  monoMs(): number;
  /** Runs `fn` once after `delayMs`. Does not keep the process alive when `unref` is true. */
  after(delayMs: number, fn: () => void, unref?: boolean): Cancel;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monoMs: () => performance.now(),
  after(delayMs, fn, unref = false) {
    const timer = setTimeout(fn, Math.max(0, delayMs));
    if (unref) timer.unref();
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs` on `clock`; rejects with the signal's reason when it aborts first. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

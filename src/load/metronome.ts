import { Worker } from 'node:worker_threads';

/**
 * Wakes its caller on time. Node's timers are whole milliseconds, so a request would be sent half a millisecond late on
 * average; a thread that sleeps in the kernel is late by some hundredths.
 */
export interface Metronome {
  /** Calls `wake` once, at `atMs` (of this thread's `performance.now`) or just after. A call replaces the one before. */
  wakeAt(atMs: number, wake: () => void): void;
  /** Nothing is called any more; the thread ends. */
  close(): void;
}

/** What both threads see. The time is that of `process.hrtime`, which is the same in both. */
export interface MetronomeCells {
  /** The number of the newest call, of the newest one that is due, and 1 at the end. */
  asked: Int32Array<SharedArrayBuffer>;
  rung: Int32Array<SharedArrayBuffer>;
  closed: Int32Array<SharedArrayBuffer>;
  dueMs: Float64Array<SharedArrayBuffer>;
}

/** Until its thread runs, and should it fail, ordinary timers do the work. */
export function createMetronome(): Metronome {
  const cell = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(4));
  const dueMs = new Float64Array(new SharedArrayBuffer(8));
  const cells: MetronomeCells = { asked: cell(), rung: cell(), closed: cell(), dueMs };
  const offsetMs = hrtimeOffsetMs();
  const thread = new Worker(new URL('./metronome-thread.ts', import.meta.url), { workerData: cells });
  let running = false;
  let pending: { call: number; atMs: number; wake: () => void } | null = null;
  let timer: NodeJS.Timeout | undefined;

  thread.unref();
  thread.once('online', () => {
    running = true;
  });
  thread.once('error', onLost);
  thread.once('exit', onLost);

  function onLost(): void {
    running = false;
    if (pending !== null) byTimer(pending.atMs);
  }

  function fire(call: number): void {
    if (pending?.call !== call) return;
    const { wake } = pending;
    pending = null;
    wake();
  }

  /** A timer counts from the event loop's last look at the clock, so it may come too early. */
  function byTimer(atMs: number): void {
    const { call } = pending!;
    const leftMs = Math.max(0, Math.ceil(atMs - performance.now()));
    timer = setTimeout(() => (performance.now() < atMs ? byTimer(atMs) : fire(call)), leftMs);
  }

  function byThread(atMs: number, call: number): void {
    dueMs[0] = atMs + offsetMs;
    Atomics.store(cells.asked, 0, call);
    Atomics.notify(cells.asked, 0);
    awaitRing(call, true);
  }

  /** The thread may just have rung for the call that this one replaced. */
  function awaitRing(call: number, withinCall: boolean): void {
    if (pending?.call !== call) return;
    const seen = Atomics.load(cells.rung, 0);
    if (seen === call) {
      if (withinCall) setImmediate(() => fire(call));
      else fire(call);
      return;
    }
    const waiting = Atomics.waitAsync(cells.rung, 0, seen);
    if (waiting.async) void waiting.value.then(() => awaitRing(call, false));
    else awaitRing(call, withinCall);
  }

  let calls = 0;
  return {
    wakeAt(atMs, wake) {
      clearTimeout(timer);
      calls = (calls + 1) | 0;
      pending = { call: calls, atMs, wake };
      if (running) byThread(atMs, calls);
      else byTimer(atMs);
    },
    close() {
      pending = null;
      clearTimeout(timer);
      Atomics.store(cells.closed, 0, 1);
      Atomics.add(cells.asked, 0, 1);
      Atomics.notify(cells.asked, 0);
    },
  };
}

/** `process.hrtime` less `performance.now`. A pause between the two readings makes it too large, so the least of several. */
function hrtimeOffsetMs(): number {
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 10; i++) {
    const nowMs = performance.now();
    least = Math.min(least, Number(process.hrtime.bigint()) / 1e6 - nowMs);
  }
  return least;
}

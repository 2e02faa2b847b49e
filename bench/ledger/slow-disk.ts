import { once } from 'node:events';
import fs from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Disk, DiskFile } from '../../src/ledger/disk.ts';
import { nodeDisk } from '../../src/ledger/node-disk.ts';

export interface FlushThreadData {
  /** How many flushes were asked for, and of which file; a negative one ends the thread. */
  asked: Int32Array;
  extraMs: number;
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** A flush that takes `extraMs` longer, asleep in the kernel; a sleep comes out some 50 µs longer than asked, for everybody. */
export function slowFlushSync(fd: number, extraMs: number): void {
  fs.fdatasyncSync(fd);
  if (extraMs > 0) Atomics.wait(sleeper, 0, 0, extraMs);
}

/**
 * A disk whose flushes of the log take `extraMs` longer. As with a real one the flush is a wait in the kernel on another
 * thread, and the event loop hears of its end by one wake-up: a wait on this thread would take the core that the ledger
 * needs meanwhile.
 */
export class SlowDisk {
  readonly disk: Disk;
  readonly #asked = new Int32Array(new SharedArrayBuffer(8));
  readonly #thread: Worker;
  #flushed: (() => void) | null = null;

  constructor(extraMs: number) {
    const workerData: FlushThreadData = { asked: this.#asked, extraMs };
    this.#thread = new Worker(new URL('./flush-thread.ts', import.meta.url), { workerData });
    this.#thread.on('message', () => this.#flushed?.());
    this.disk = { ...nodeDisk, open: (path, exclusive) => this.#open(path, exclusive) };
  }

  async #open(path: string, exclusive = false): Promise<DiskFile> {
    if (!path.includes('/log/')) return nodeDisk.open(path, exclusive);
    const fd = fs.openSync(path, exclusive ? 'ax' : 'a', 0o644);
    return {
      append: (bytes) => fs.writeSync(fd, bytes),
      datasync: () => this.#flush(fd),
      size: () => fs.fstatSync(fd).size,
      truncate: async (bytes) => fs.ftruncateSync(fd, bytes),
      close: async () => fs.closeSync(fd),
    };
  }

  /** One at a time, but for the flush of a full segment beside the next: that one is not slowed. */
  #flush(fd: number): Promise<void> {
    if (this.#flushed) return new Promise((resolve, reject) => fs.fdatasync(fd, (e) => (e ? reject(e) : resolve())));
    return new Promise((resolve) => {
      this.#flushed = () => {
        this.#flushed = null;
        resolve();
      };
      this.#ask(fd);
    });
  }

  #ask(fd: number): void {
    Atomics.store(this.#asked, 1, fd);
    Atomics.add(this.#asked, 0, 1);
    Atomics.notify(this.#asked, 0);
  }

  async close(): Promise<void> {
    const ended = once(this.#thread, 'exit');
    this.#ask(-1);
    await ended;
  }
}

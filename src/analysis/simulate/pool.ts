import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { ReleaseQuestion, RunResult } from './release.ts';
import type { Job, JobAnswer } from './worker.ts';

export interface PoolOptions {
  runs: number;
  seed: number;
  /** Default: every core. */
  threads?: number;
  onProgress?: (done: number, runs: number) => void;
  signal?: AbortSignal;
}

/** Runs per message: small enough for progress and an even end, large enough to be worth a message. */
const BATCH = 5;

/** Simulates `runs` releases on all cores. The result depends on the seed only, not on the number of threads. */
export async function simulateMany(question: ReleaseQuestion, options: PoolOptions): Promise<RunResult[]> {
  const { runs, seed, onProgress, signal } = options;
  const results = new Array<RunResult>(runs);
  let next = 0;
  let done = 0;
  const threads = Math.max(1, Math.min(options.threads ?? availableParallelism(), Math.ceil(runs / BATCH)));
  const workers = Array.from({ length: threads }, () => new Worker(new URL('./worker.ts', import.meta.url)));
  const stop = (): void => {
    for (const worker of workers) void worker.terminate();
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await Promise.all(
      workers.map(async (worker) => {
        while (next < runs && !signal?.aborted) {
          const from = next;
          const count = Math.min(BATCH, runs - from);
          next += count;
          const seeds = Array.from({ length: count }, (_, i) => seed + from + i);
          const answer = await ask(worker, { question, seeds });
          answer.results.forEach((result, i) => {
            results[from + i] = result;
          });
          done += count;
          onProgress?.(done, runs);
        }
      }),
    );
  } finally {
    signal?.removeEventListener('abort', stop);
    stop();
  }
  signal?.throwIfAborted();
  return results;
}

function ask(worker: Worker, job: Job): Promise<JobAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      act();
    };
    const onMessage = (answer: JobAnswer): void => settle(() => resolve(answer));
    const onError = (error: unknown): void => settle(() => reject(error));
    const onExit = (): void => settle(() => reject(new Error('a simulation worker ended early')));
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(job);
  });
}

import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { doNextTask, type JobKind, type ReportOf, type SharedJob, type TaskOf } from './segment-jobs.ts';
import type { WorkerMessage } from './segment-worker.ts';

const MAX_THREADS = 8;
/** Below this length of a log a thread costs more than it saves. */
export const PARALLEL_FROM_BYTES = 16_000_000;

interface RunOptions {
  /** This thread is one of those that work, and done with a part before the others have loaded; else it stays free. */
  here: boolean;
  onProgress?: (bytes: number, records: number) => void;
}

/**
 * Does something with every segment, side by side, one thread per core. Reports come in the order of the tasks; null when
 * one of them failed. Rejects when a thread does; the caller then walks the log itself.
 */
export async function runOnSegments<K extends JobKind>(
  kind: K,
  tasks: readonly TaskOf<K>[],
  { here, onProgress = () => undefined }: RunOptions,
): Promise<ReportOf<K>[] | null> {
  const reports: ReportOf<K>[] = new Array(tasks.length);
  const job: SharedJob<K> = { kind, tasks, next: new Int32Array(new SharedArrayBuffer(4)) };
  const threads = Math.min(availableParallelism(), MAX_THREADS, tasks.length);
  const workers = Array.from({ length: here ? threads - 1 : threads }, () => {
    return new Worker(new URL('./segment-worker.ts', import.meta.url), { workerData: job });
  });
  const ended = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      worker.on('message', (message: WorkerMessage<K>) => {
        if (message.kind === 'progress') onProgress(message.bytes, message.records);
        else if (message.kind === 'report') reports[message.index] = message.report;
        // Taking a thread down takes some time, for which nobody need wait.
        else resolve();
      });
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('a thread ended before its work did')));
    });
  const workHere = async (): Promise<void> => {
    for (let done = doNextTask(job, onProgress); done; done = doNextTask(job, onProgress)) {
      reports[done.index] = done.report;
      // What the others have sent meanwhile is shown.
      await setImmediate();
    }
  };
  try {
    await Promise.all([...workers.map(ended), here ? workHere() : null]);
    return reports.includes(undefined as never) || reports.some(({ failed }) => failed) ? null : reports;
  } catch (error) {
    Atomics.store(job.next, 0, tasks.length);
    await Promise.all(workers.map((worker) => worker.terminate()));
    throw error;
  }
}

import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { SegmentReport, SegmentTask } from './segment-check.ts';
import type { WorkerMessage } from './segment-worker.ts';

const MAX_WORKERS = 8;

/**
 * Checks segments side by side, one thread per core. Reports come in the order of the tasks. Rejects when a thread fails;
 * the caller then walks the log itself.
 */
export async function checkSegments(
  tasks: readonly SegmentTask[],
  onProgress: (bytes: number, records: number) => void,
): Promise<SegmentReport[]> {
  const reports: SegmentReport[] = new Array(tasks.length);
  let next = 0;
  const workers = Array.from({ length: Math.min(availableParallelism(), MAX_WORKERS, tasks.length) }, () => {
    return new Worker(new URL('./segment-worker.ts', import.meta.url));
  });
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      let current = -1;
      const give = (): void => {
        current = next;
        next += 1;
        if (current < tasks.length) worker.postMessage(tasks[current]);
        else resolve();
      };
      worker.once('error', reject);
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'progress') return onProgress(message.bytes, message.records);
        if (message.kind === 'error') return reject(new Error(message.message));
        reports[current] = message.report;
        give();
      });
      give();
    });
  try {
    await Promise.all(workers.map(work));
    return reports;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

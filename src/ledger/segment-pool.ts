import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { nodeDisk } from './node-disk.ts';
import { checkSegment, type SegmentReport, type SegmentTask } from './segment-check.ts';
import type { WorkerMessage } from './segment-worker.ts';

const MAX_THREADS = 8;
/** The text of a chunk and its slices live shortly: a small nursery would be collected every few chunks. */
const NURSERY_MB = 64;

/**
 * Checks segments side by side, one thread per core. With `here` this thread is one of them, which has checked its first
 * segment before the others have loaded; without it this thread stays free for other work. Reports come in the order of the tasks. Rejects when a thread fails; the caller then walks the
 * log itself.
 */
export async function checkSegments(
  tasks: readonly SegmentTask[],
  onProgress: (bytes: number, records: number) => void,
  here: boolean,
): Promise<SegmentReport[]> {
  const reports: SegmentReport[] = new Array(tasks.length);
  let next = 0;
  const take = (): number => next++;
  const threads = Math.min(availableParallelism(), MAX_THREADS, tasks.length);
  const workers = Array.from({ length: here ? threads - 1 : threads }, () => {
    return new Worker(new URL('./segment-worker.ts', import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: NURSERY_MB },
    });
  });
  const work = (worker: Worker): Promise<void> =>
    new Promise((resolve, reject) => {
      let current = -1;
      const give = (): void => {
        current = take();
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
  const workHere = async (): Promise<void> => {
    for (let i = take(); i < tasks.length; i = take()) reports[i] = await checkSegment(nodeDisk, tasks[i]!, onProgress);
  };
  try {
    await Promise.all([here ? workHere() : null, ...workers.map(work)]);
    return reports;
  } finally {
    next = tasks.length;
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

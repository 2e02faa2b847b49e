import { Worker } from 'node:worker_threads';
import { CELLS, type Table } from './cells.ts';
import type { Sample, Tuned } from './experiments.ts';
import type { Task, TaskAnswer } from './worker.ts';

const BATCH = 4;

/** Runs every cell of a table on `threads` cores; the samples depend on the seeds only. */
export async function runTable(
  table: Table,
  runs: number,
  threads: number,
  tunedFor: (cell: number) => Tuned | null,
): Promise<Sample[][]> {
  const cells = CELLS[table];
  const samples: Sample[][] = cells.map(() => []);
  const tasks: (Task & { from: number })[] = [];
  cells.forEach((cell, index) => {
    const count = Math.max(4, Math.round(runs * (cell.portion ?? 1)));
    for (let from = 0; from < count; from += BATCH) {
      const seeds = Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => 1 + from + i + 10_000 * index);
      tasks.push({ table, cell: index, seeds, tuned: tunedFor(index), from });
    }
  });
  let next = 0;
  await Promise.all(
    Array.from({ length: threads }, async () => {
      const worker = new Worker(new URL('./worker.ts', import.meta.url));
      try {
        while (next < tasks.length) {
          const { from, ...task } = tasks[next++]!;
          const answer = await ask(worker, task);
          answer.samples.forEach((sample, i) => {
            samples[task.cell]![from + i] = sample;
          });
        }
      } finally {
        await worker.terminate();
      }
    }),
  );
  return samples;
}

function ask(worker: Worker, task: Task): Promise<TaskAnswer> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (answer: TaskAnswer) => {
      worker.off('error', reject);
      resolve(answer);
    });
    worker.postMessage(task);
  });
}

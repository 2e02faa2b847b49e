import { parentPort } from 'node:worker_threads';
import { CELLS, type Table } from './cells.ts';
import type { Sample, Tuned } from './experiments.ts';

export interface Task {
  table: Table;
  cell: number;
  seeds: number[];
  tuned: Tuned | null;
}

export interface TaskAnswer {
  samples: Sample[];
}

parentPort?.on('message', ({ table, cell, seeds, tuned }: Task) => {
  const { run } = CELLS[table][cell]!;
  parentPort?.postMessage({ samples: seeds.map((seed) => run(seed, tuned)) } satisfies TaskAnswer);
});

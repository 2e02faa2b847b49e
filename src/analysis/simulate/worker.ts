import { parentPort } from 'node:worker_threads';
import { type ReleaseQuestion, type RunResult, simulateRelease } from './release.ts';

/** A part of the work: these seeds of this question. */
export interface Job {
  question: ReleaseQuestion;
  seeds: number[];
}

export interface JobAnswer {
  results: RunResult[];
}

parentPort?.on('message', ({ question, seeds }: Job) => {
  const results = seeds.map((seed) => simulateRelease(question, seed));
  parentPort?.postMessage({ results } satisfies JobAnswer);
});

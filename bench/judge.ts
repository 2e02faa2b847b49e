import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { CELLS, type Table } from './judge/cells.ts';
import type { Sample, Tuned } from './judge/experiments.ts';
import { runTable } from './judge/pool.ts';
import { reportOf } from './judge/report.ts';

// `npm run bench:judge -- --runs 300`: the judge and its rivals on the same counts; writes docs/judge-validation.md.
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '40' },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string', default: 'docs' },
  },
});
const runs = Number(values.runs);
const threads = Number(values.threads);
if (!Number.isInteger(runs) || runs < 4) throw new Error(`--runs ${values.runs} is not a whole number from 4`);

const results = {} as Record<Table, Sample[][]>;
const seconds = {} as Record<Table, number>;
for (const table of Object.keys(CELLS) as Table[]) {
  const started = performance.now();
  results[table] = await runTable(table, runs, threads, (cell) => tunedFor(table, cell));
  seconds[table] = (performance.now() - started) / 1000;
  process.stderr.write(`${table}: ${CELLS[table].length} cells in ${seconds[table].toFixed(0)} s\n`);
}

const { markdown, plots } = reportOf(results, seconds, runs);
mkdirSync(`${values.out}/img`, { recursive: true });
for (const [name, svg] of Object.entries(plots)) writeFileSync(`${values.out}/img/${name}.svg`, svg);
writeFileSync(`${values.out}/judge-validation.md`, markdown);
process.stderr.write(`wrote ${values.out}/judge-validation.md\n`);

/** The oracle's thresholds of the setting that a cell belongs to: the 99th percentile of what healthy runs showed. */
function tunedFor(table: Table, cell: number): Tuned | null {
  const { tuneOn } = CELLS[table][cell]!;
  if (tuneOn === undefined) return null;
  const found = results.tuning[CELLS.tuning.findIndex((candidate) => candidate.title === tuneOn)]!;
  const percentile = (name: string): number => {
    const sorted = found.map((sample) => sample[name]!).sort((a, b) => a - b);
    return sorted[Math.ceil(0.99 * sorted.length) - 1]!;
  };
  return { flagger: percentile('flagger'), mean: percentile('mean') };
}

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { CELLS, type Table } from './judge/cells.ts';
import type { Sample, Tuned } from './judge/experiments.ts';
import { runTable } from './judge/pool.ts';
import { LATENCY_HEADING, latencyPart, reportOf } from './judge/report.ts';

// `npm run bench:judge -- --runs 300`: the judge and its rivals on the same counts; writes docs/judge-validation.md.
// `--only latency` runs that table alone and replaces its section in the report.
const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '40' },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string', default: 'docs' },
    only: { type: 'string' },
  },
});
const runs = Number(values.runs);
const threads = Number(values.threads);
if (!Number.isInteger(runs) || runs < 4) throw new Error(`--runs ${values.runs} is not a whole number from 4`);

const reportPath = `${values.out}/judge-validation.md`;
const results = {} as Record<Table, Sample[][]>;
const seconds = {} as Record<Table, number>;

if (values.only === undefined) await wholeReport();
else if (values.only === 'latency') await latencyAlone();
else throw new Error(`--only ${values.only}: only latency can be run by itself`);
process.stderr.write(`wrote ${reportPath}\n`);

async function run(table: Table): Promise<void> {
  const started = performance.now();
  results[table] = await runTable(table, runs, threads, (cell) => tunedFor(table, cell));
  seconds[table] = (performance.now() - started) / 1000;
  process.stderr.write(`${table}: ${CELLS[table].length} cells in ${seconds[table].toFixed(0)} s\n`);
}

async function wholeReport(): Promise<void> {
  for (const table of Object.keys(CELLS) as Table[]) await run(table);
  const { markdown, plots } = reportOf(results, seconds, runs);
  mkdirSync(`${values.out}/img`, { recursive: true });
  for (const [name, svg] of Object.entries(plots)) writeFileSync(`${values.out}/img/${name}.svg`, svg);
  writeFileSync(reportPath, markdown);
}

/** The section stands from its heading to the next one of its level. */
async function latencyAlone(): Promise<void> {
  const report = readFileSync(reportPath, 'utf8');
  const from = report.indexOf(`${LATENCY_HEADING}\n`);
  const to = report.indexOf('\n## ', from);
  if (from === -1 || to === -1) throw new Error(`${reportPath} has no section "${LATENCY_HEADING}"`);
  await run('latency');
  const how = `This section was run by itself: \`npm run bench:judge -- --only latency --runs ${runs}\` (${seconds.latency.toFixed(0)} s).`;
  writeFileSync(reportPath, `${report.slice(0, from)}${latencyPart(results.latency)}\n\n${how}\n${report.slice(to)}`);
}

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

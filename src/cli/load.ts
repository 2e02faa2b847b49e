import type { Command } from 'commander';
import { DavyError } from '../lib/error.ts';
import { term } from '../lib/outside-text/terminal.ts';
import { type BaselineReport, buildBaseline, needsRun } from '../load/baseline.ts';
import {
  judgeOverload,
  judgeStep,
  kneeOf,
  type LadderStep,
  ladderDefaults,
  nextRate,
  type OverloadRow,
} from '../load/ladder.ts';
import { type LoadPlan, planDurationMs } from '../load/plan.ts';
import { hasSuccess, type LoadResult } from '../load/result.ts';
import { slaTable } from '../load/sla.ts';
import { startLoad } from '../load/start-load.ts';
import { VERSION } from '../version.ts';
import { archive } from './archive.ts';
import { cliErrors } from './errors.ts';
import { placeOptions } from './evidence-place.ts';
import { type CliIo, EXIT_INTERRUPTED } from './io.ts';
import { count, givenOptions, type PlanOptions, planOptions, rate, readPlan, withStages } from './load-plan.ts';
import { renderLadder, renderLive, renderResult, renderSla, renderThresholds } from './load-view.ts';
import { outputOption, printJson } from './output.ts';
import { createScreen } from './screen.ts';
import { styleFor } from './style.ts';

interface LadderOptions extends PlanOptions {
  start: number;
  max: number;
  overload?: boolean;
}

interface BaselineOptions extends PlanOptions {
  runs: number;
  store?: boolean;
  data?: string;
  port: number;
}

/** INVALID, no success at all, a promise that was not proven to be met, or a knee that is not known. */
const exitFailed = 3;

/** A run that somebody ended is shown as far as it came, and proves nothing of what was left. */
function setExit(io: CliIo, isGood: boolean): void {
  io.exitCode = io.signal.aborted ? EXIT_INTERRUPTED : isGood ? 0 : exitFailed;
  if (io.signal.aborted) io.say(term`interrupted: the figures are those of the time before\n`);
}

function runs(text: string): number {
  const value = count(text);
  if (value < 1 || value > 100) throw new DavyError(cliErrors.usage, `--runs must be from 1 to 100, not ${text}.`);
  return value;
}

/** `load run|ladder|baseline`: open-model load in a process of its own, with figures that say how sure they are. */
export function register(program: Command, io: CliIo): void {
  const load = program.command('load').description('open-model load: run it, find the knee, take a baseline');
  outputOption(
    planOptions(
      load.command('run').description('one run; exit 0 only if VALID, with a success, and every promise MET'),
    ),
  ).action((file: string | undefined, options: PlanOptions, command: Command) =>
    runOnce(file, { ...options, given: givenOptions(command) }, io),
  );
  const ladder = planOptions(load.command('ladder').description('raise the rate until it is not carried any more'))
    .option('--start <rate>', 'first rate, e.g. 50/s', rate, 50)
    .option('--max <rate>', 'highest rate', rate, 20_000)
    .option('--overload', 'then 100, 150 and 200 % of what was carried');
  outputOption(ladder).action((file: string | undefined, options: LadderOptions, command: Command) =>
    climb(file, { ...options, given: givenOptions(command) }, io),
  );
  const baseline = planOptions(
    load.command('baseline').description('several runs, promises, and the alert thresholds that follow'),
  )
    .option('--runs <n>', 'VALID runs, 1 or more', runs, 3)
    .option('--no-store', 'do not keep it in the ledger');
  outputOption(placeOptions(baseline)).action((file: string | undefined, options: BaselineOptions, command: Command) =>
    takeBaseline(file, { ...options, given: givenOptions(command) }, io),
  );
}

async function runOnce(file: string | undefined, options: PlanOptions, io: CliIo): Promise<void> {
  const { plan, sla, notes } = await readPlan(file, options, io);
  for (const note of notes) io.say(term`note: ${note}\n`);
  const result = await runPlan(plan, options, io);
  const rows = slaTable(sla, result);
  if (options.output === 'json') printJson(io, { result, sla: rows, notes, interrupted: io.signal.aborted });
  else io.out(renderResult(result, rows, styleFor(io.color)));
  const isValid = result.validity.verdict === 'VALID' && hasSuccess(result);
  setExit(io, isValid && rows.every((row) => row.verdict === 'MET'));
}

async function climb(file: string | undefined, options: LadderOptions, io: CliIo): Promise<void> {
  // Each step has the rate of the ladder and lasts as long as `--for` says, whatever the file plans.
  const given = new Set([...options.given].filter((name) => name !== 'for'));
  const base = await readPlan(file, { ...options, given, rps: options.rps ?? options.start }, io);
  for (const note of base.notes) io.say(term`note: ${note}\n`);
  const limits = {
    ...ladderDefaults,
    p99Ms: base.sla.latency.p99 ?? ladderDefaults.p99Ms,
    errorShare: base.sla.errorShare ?? ladderDefaults.errorShare,
  };
  const ladder = { startPerSecond: options.start, maxPerSecond: options.max, limits };
  const steps: LadderStep[] = [];
  const at = (ratePerSecond: number) => runPlan(atRate(base.plan, ratePerSecond, options.for), options, io);
  for (;;) {
    const ratePerSecond = nextRate(steps, ladder);
    if (ratePerSecond === null) break;
    const step = { ratePerSecond, result: await at(ratePerSecond) };
    // A rung that was ended early is none.
    if (io.signal.aborted) break;
    steps.push(step);
    const judgement = judgeStep(step, limits);
    io.say(term`${ratePerSecond}/s: ${judgement.carried === true ? 'carried' : judgement.why}\n`);
  }
  const knee = kneeOf(steps, ladder);
  const overload: OverloadRow[] = [];
  for (const share of options.overload && knee.ratedPerSecond !== null ? [1, 1.5, 2] : []) {
    if (io.signal.aborted) break;
    const row = judgeOverload(share, knee.ratedPerSecond!, await at(share * knee.ratedPerSecond!), limits);
    if (!io.signal.aborted) overload.push(row);
  }
  if (options.output === 'json') printJson(io, { knee, steps, overload, limits, interrupted: io.signal.aborted });
  else io.out(renderLadder(knee, overload));
  setExit(io, knee.found === 'knee' || knee.found === 'max');
}

async function takeBaseline(file: string | undefined, options: BaselineOptions, io: CliIo): Promise<void> {
  const { plan, sla, notes } = await readPlan(file, options, io);
  for (const note of notes) io.say(term`note: ${note}\n`);
  const results: LoadResult[] = [];
  const wantedRuns = options.runs;
  while (needsRun(results, wantedRuns) && !io.signal.aborted) {
    io.say(term`run ${results.length + 1}, ${wantedRuns} are wanted\n`);
    const result = await runPlan({ ...plan, seed: plan.seed + results.length }, options, io);
    if (io.signal.aborted) break;
    results.push(result);
    if (result.validity.verdict === 'INVALID') io.say(term`INVALID: ${result.validity.reasons.join('; ')}\n`);
  }
  const report = buildBaseline({
    plan,
    sla,
    results,
    wantedRuns,
    generator: `davy ${VERSION}`,
    atMs: io.clock.nowMs(),
  });
  const isKept = options.store !== false && report.verdict !== 'INVALID';
  const stored = isKept ? await storeBaseline(report, options, io) : null;
  if (options.output === 'json') printJson(io, { baseline: report, stored, interrupted: io.signal.aborted });
  else renderBaseline(report, stored, io);
  setExit(io, report.verdict === 'MET');
}

async function storeBaseline(report: BaselineReport, options: BaselineOptions, io: CliIo) {
  const content = `${JSON.stringify({ schemaVersion: 1, ...report }, null, 2)}\n`;
  // `--url` is the address under load here, not Davy's: that one is found by --port.
  const place = { port: options.port, ...(options.data === undefined ? {} : { data: options.data }) };
  return archive(io, place, {
    name: 'load-baseline.json',
    type: 'application/json',
    desc: 'Load baseline',
    content,
    kind: 'load',
  });
}

function renderBaseline(report: BaselineReport, stored: { seq: number; sha256: string } | null, io: CliIo): void {
  const style = styleFor(io.color);
  const spoiled = report.spoiledRuns === 0 ? '' : `, ${report.spoiledRuns} more INVALID and left out`;
  io.out(term`baseline     ${report.runs.length} runs${spoiled}, ${report.verdict}\n\n`);
  if (report.sla.length > 0) io.out(term`${renderSla(report.sla, style)}\n\n`);
  if (report.verdict === 'INVALID') io.out(term`too few VALID runs: nothing is proposed, and nothing is kept\n`);
  else if (report.thresholds.length === 0)
    io.out(term`no alert thresholds: a run had no success, or the generator was too late for its p95 and p99\n`);
  else io.out(term`proposed alert thresholds\n${renderThresholds(report.thresholds)}`);
  if (stored) io.out(term`\nkept as record ${stored.seq}, sha256 ${stored.sha256}\n`);
}

/** Runs a plan in a generator process, with a progress line on terminals. */
async function runPlan(plan: LoadPlan, { processes }: PlanOptions, io: CliIo): Promise<LoadResult> {
  const screen = createScreen(io);
  const totalMs = planDurationMs(plan);
  const load = startLoad(plan, (live) => io.interactive && screen.draw([renderLive(live, totalMs)]), processes);
  const stop = (): void => void load.stop().catch(() => {});
  io.signal.addEventListener('abort', stop, { once: true });
  try {
    return await load.done;
  } finally {
    io.signal.removeEventListener('abort', stop);
    screen.end();
  }
}

function atRate(plan: LoadPlan, ratePerSecond: number, durationMs: number): LoadPlan {
  return withStages(plan, [{ fromPerSecond: ratePerSecond, toPerSecond: ratePerSecond, durationMs }]);
}

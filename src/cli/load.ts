import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { DavyError, messageOf } from '../lib/error.ts';
import { parseRatePerSecond, parseShare } from '../lib/units.ts';
import { type BaselineReport, buildBaseline } from '../load/baseline.ts';
import { planDurationMs } from '../load/generator.ts';
import { importK6Options } from '../load/k6-options.ts';
import { judgeOverload, judgeStep, kneeOf, type LadderStep, ladderDefaults, nextRate } from '../load/ladder.ts';
import { type LoadFile, parseLoadFile } from '../load/load-file.ts';
import { type LoadPlan, planDefaults } from '../load/plan.ts';
import type { LoadResult } from '../load/result.ts';
import { type Sla, slaTable } from '../load/sla.ts';
import { startLoad } from '../load/start-load.ts';
import { VERSION } from '../version.ts';
import { archive } from './archive.ts';
import { durationOption } from './duration-option.ts';
import { cliErrors } from './errors.ts';
import { placeOptions } from './evidence-place.ts';
import type { CliIo } from './io.ts';
import { renderLive, renderResult, renderSla, renderThresholds } from './load-view.ts';
import { outputOption, printJson } from './output.ts';
import { createScreen } from './screen.ts';
import { columns, styleFor } from './style.ts';

interface PlanOptions {
  url?: string;
  rps?: number;
  ramp?: { from: number; to: number };
  for: number;
  warmup: number;
  timeout: number;
  arrivals: 'poisson' | 'uniform';
  connections: number;
  seed: number;
  processes: number;
  k6?: string;
  p95?: number;
  p99?: number;
  errors?: number;
  output: string;
}

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

/** INVALID, or a promise that was not proven to be met. */
const exitFailed = 3;

/** `load run|ladder|baseline`: open-model load in a process of its own, with figures that say how sure they are. */
export function register(program: Command, io: CliIo): void {
  const load = program.command('load').description('open-model load: run it, find the knee, take a baseline');
  outputOption(
    planOptions(load.command('run').description('one run; exit 0 only if VALID and every promise MET')),
  ).action((file: string | undefined, options: PlanOptions) => runOnce(file, options, io));
  const ladder = planOptions(load.command('ladder').description('raise the rate until it is not carried any more'))
    .option('--start <rate>', 'first rate, e.g. 50/s', rate, 50)
    .option('--max <rate>', 'highest rate', rate, 20_000)
    .option('--overload', 'then 100, 150 and 200 % of what was carried');
  outputOption(ladder).action((file: string | undefined, options: LadderOptions) => climb(file, options, io));
  const baseline = planOptions(
    load.command('baseline').description('several runs, promises, and the alert thresholds that follow'),
  )
    .option('--runs <n>', 'runs', count, 3)
    .option('--no-store', 'do not keep it in the ledger');
  outputOption(placeOptions(baseline)).action((file: string | undefined, options: BaselineOptions) =>
    takeBaseline(file, options, io),
  );
}

function planOptions(command: Command): Command {
  return command
    .argument('[file]', 'a load file: targets, rate or stages, sla')
    .option('--url <url>', 'one address, instead of a file')
    .option('--rps <rate>', 'a steady rate, e.g. 100 or 100/s', rate)
    .option('--ramp <from..to>', 'a rising or falling rate, e.g. 10..200', ramp)
    .addOption(durationOption('--for <duration>', 'how long', 30_000))
    .addOption(durationOption('--warmup <duration>', 'sent, but not counted', 0))
    .addOption(
      durationOption('--timeout <duration>', 'from the intended send time to the whole answer', planDefaults.timeoutMs),
    )
    .addOption(new Option('--arrivals <kind>').choices(['poisson', 'uniform']).default('poisson'))
    .option('--connections <n>', 'at most', count, planDefaults.maxConnections)
    .option('--seed <n>', 'repeats the same arrivals', count, planDefaults.seed)
    .option('--processes <n>', 'generator processes that share the rate', count, 1)
    .option('--k6 <file>', 'take arrival rates and thresholds from k6 options')
    .addOption(durationOption('--p95 <duration>', 'promise'))
    .addOption(durationOption('--p99 <duration>', 'promise'))
    .option('--errors <share>', 'promise: at most this share fails', share);
}

async function runOnce(file: string | undefined, options: PlanOptions, io: CliIo): Promise<void> {
  const { plan, sla, notes } = await readPlan(file, options, io);
  for (const note of notes) io.say(`note: ${note}\n`);
  const result = await runPlan(plan, options, io);
  const rows = slaTable(sla, result);
  if (options.output === 'json') printJson(io, { result, sla: rows, notes });
  else io.out(renderResult(result, rows, styleFor(io.color)));
  if (result.validity.verdict === 'INVALID' || rows.some((row) => row.verdict !== 'MET')) io.exitCode = exitFailed;
}

async function climb(file: string | undefined, options: LadderOptions, io: CliIo): Promise<void> {
  const base = await readPlan(file, { ...options, rps: options.rps ?? options.start }, io);
  const limits = {
    ...ladderDefaults,
    p99Ms: base.sla.latency.p99 ?? ladderDefaults.p99Ms,
    errorShare: base.sla.errorShare ?? ladderDefaults.errorShare,
  };
  const steps: LadderStep[] = [];
  const at = (ratePerSecond: number) => runPlan(atRate(base.plan, ratePerSecond, options.for), options, io);
  for (;;) {
    const ratePerSecond = nextRate(steps, { startPerSecond: options.start, maxPerSecond: options.max, limits });
    if (ratePerSecond === null || io.signal.aborted) break;
    const step = { ratePerSecond, result: await at(ratePerSecond) };
    steps.push(step);
    const judgement = judgeStep(step, limits);
    io.say(`${ratePerSecond}/s: ${judgement.carried ? 'carried' : judgement.why}\n`);
  }
  const knee = kneeOf(steps, limits);
  const overload = [];
  if (options.overload && knee.ratedPerSecond !== null) {
    for (const share of [1, 1.5, 2]) {
      overload.push(judgeOverload(share, knee.ratedPerSecond, await at(share * knee.ratedPerSecond), limits));
    }
  }
  if (options.output === 'json') return printJson(io, { knee, steps, overload, limits });
  io.out(`carried      ${knee.ratedPerSecond === null ? 'nothing' : `${knee.ratedPerSecond}/s`}\n`);
  if (knee.beyond) io.out(`beyond       ${knee.beyond.ratePerSecond}/s: ${knee.beyond.why}\n`);
  const rows = overload.map((row) => [
    `${100 * row.share} %`,
    row.verdict,
    `${row.goodPerSecond.toFixed(0)}/s good`,
    row.reasons.join('; '),
  ]);
  if (rows.length > 0) io.out(`${columns(rows)}\n`);
}

async function takeBaseline(file: string | undefined, options: BaselineOptions, io: CliIo): Promise<void> {
  const { plan, sla, notes } = await readPlan(file, options, io);
  for (const note of notes) io.say(`note: ${note}\n`);
  const results: LoadResult[] = [];
  for (let i = 0; i < options.runs; i++) {
    io.say(`run ${i + 1} of ${options.runs}\n`);
    results.push(await runPlan({ ...plan, seed: plan.seed + i }, options, io));
  }
  const report = buildBaseline({ plan, sla, results, generator: `davy ${VERSION}`, atMs: io.clock.nowMs() });
  const stored = options.store === false ? null : await storeBaseline(report, options, io);
  if (options.output === 'json') printJson(io, { baseline: report, stored });
  else renderBaseline(report, stored, io);
  if (report.verdict !== 'MET') io.exitCode = exitFailed;
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
  io.out(`baseline     ${report.runs.length} runs, ${report.verdict}\n\n`);
  if (report.sla.length > 0) io.out(`${renderSla(report.sla, style)}\n\n`);
  io.out(`proposed alert thresholds\n${renderThresholds(report.thresholds)}`);
  if (stored) io.out(`\nkept as record ${stored.seq}, sha256 ${stored.sha256}\n`);
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

async function readPlan(file: string | undefined, options: PlanOptions, io: CliIo): Promise<LoadFile> {
  const k6 = options.k6 === undefined ? null : importK6Options(await readText(options.k6, io));
  const base =
    file === undefined ? planFromOptions(options, k6?.stages ?? []) : parseLoadFile(await readText(file, io)).plan;
  const fromFile = file === undefined ? emptySla : parseLoadFile(await readText(file, io)).sla;
  const latency = { ...fromFile.latency, ...k6?.sla.latency, ...defined({ p95: options.p95, p99: options.p99 }) };
  const errorShare = options.errors ?? k6?.sla.errorShare ?? fromFile.errorShare;
  const plan = k6 && k6.stages.length > 0 ? withStages(base, k6.stages) : base;
  return { plan, sla: { latency, errorShare }, notes: k6?.notes ?? [] };
}

const emptySla: Sla = { latency: {}, errorShare: null };

function planFromOptions(
  options: PlanOptions,
  stages: { fromPerSecond: number; toPerSecond: number; durationMs: number }[],
): LoadPlan {
  const { url, rps, ramp: ramped } = options;
  if (url === undefined) throw new DavyError(cliErrors.usage, 'Give a load file or --url.');
  const given = [rps, ramped].filter((one) => one !== undefined).length;
  if (given !== 1 && stages.length === 0) throw new DavyError(cliErrors.usage, 'Give one of --rps and --ramp.');
  const fromPerSecond = ramped?.from ?? rps ?? 0;
  const toPerSecond = ramped?.to ?? rps ?? 0;
  const own = [{ fromPerSecond, toPerSecond, durationMs: options.for }];
  return {
    targets: [{ name: 'all', url, method: 'GET', headers: {}, body: null, weight: 1, check: null }],
    model: { kind: 'open', arrivals: options.arrivals, stages: given === 1 ? own : stages },
    ...{
      seed: options.seed,
      warmupMs: options.warmup,
      timeoutMs: options.timeout,
      maxConnections: options.connections,
    },
    maxOutstanding: planDefaults.maxOutstanding,
  };
}

function withStages(
  plan: LoadPlan,
  stages: { fromPerSecond: number; toPerSecond: number; durationMs: number }[],
): LoadPlan {
  const arrivals = plan.model.kind === 'open' ? plan.model.arrivals : 'poisson';
  return { ...plan, model: { kind: 'open', arrivals, stages } };
}

function atRate(plan: LoadPlan, ratePerSecond: number, durationMs: number): LoadPlan {
  return withStages(plan, [{ fromPerSecond: ratePerSecond, toPerSecond: ratePerSecond, durationMs }]);
}

function defined<T>(fields: Record<string, T | undefined>): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, T] => entry[1] !== undefined));
}

async function readText(file: string, io: CliIo): Promise<string> {
  return readFile(resolve(io.cwd, file), 'utf8').catch((error) => {
    throw new DavyError(cliErrors.usage, `${file} cannot be read: ${messageOf(error)}.`, { cause: error });
  });
}

function rate(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : parseRatePerSecond(text);
  return known(value, text, 'a rate such as 100/s');
}

function ramp(text: string): { from: number; to: number } {
  const match = /^([^.]+(?:\.\d+)?)\.\.(.+)$/.exec(text);
  if (!match) throw new DavyError(cliErrors.usage, `"${text}" is not a ramp such as 10..200.`);
  return { from: rate(match[1]!), to: rate(match[2]!) };
}

function share(text: string): number {
  return known(parseShare(text), text, 'a share such as 1%');
}

function count(text: string): number {
  return known(/^\d{1,9}$/.test(text) ? Number(text) : null, text, 'a whole number');
}

function known(value: number | null, text: string, what: string): number {
  if (value !== null) return value;
  throw new DavyError(cliErrors.usage, `"${text}" is not ${what}.`);
}

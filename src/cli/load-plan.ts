import { type Command, Option } from 'commander';
import { DavyError } from '../lib/error.ts';
import { parseRatePerSecond, parseShare } from '../lib/units.ts';
import { importK6Options } from '../load/k6-options.ts';
import { type LoadFile, parseLoadFile } from '../load/load-file.ts';
import { type LoadPlan, type LoadStage, planDefaults } from '../load/plan.ts';
import { durationOption } from './duration-option.ts';
import { cliErrors } from './errors.ts';
import { readGivenFile } from './given-file.ts';
import type { CliIo } from './io.ts';

export interface PlanOptions {
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
  /** Names of the options that stand on the command line; the others have their defaults. */
  given: ReadonlySet<string>;
}

export function planOptions(command: Command): Command {
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

export function givenOptions(command: Command): Set<string> {
  const names = command.options.map((option) => option.attributeName());
  return new Set(names.filter((name) => command.getOptionValueSource(name) === 'cli'));
}

/** The plan and the promises of a load file, of k6's options, or of the command line. Throws `cli/usage` and `load/bad-plan`. */
export async function readPlan(file: string | undefined, options: PlanOptions, io: CliIo): Promise<LoadFile> {
  const k6 = options.k6 === undefined ? null : importK6Options(await readGivenFile(options.k6, io));
  const stages = k6?.stages ?? [];
  const read = file === undefined ? null : parseLoadFile(await readGivenFile(file, io), file);
  refuseTwice(options, read !== null, stages.length > 0);
  const base = read === null ? planFromOptions(options, stages) : withOptions(read.plan, options);
  const latency = { ...read?.sla.latency, ...k6?.sla.latency, ...defined({ p95: options.p95, p99: options.p99 }) };
  const errorShare = options.errors ?? k6?.sla.errorShare ?? read?.sla.errorShare ?? null;
  const plan = stages.length > 0 ? withStages(base, stages) : base;
  return { plan, sla: { latency, errorShare }, notes: k6?.notes ?? [] };
}

/** What is said twice is said differently sooner or later: then nobody knows which of the two was run. */
function refuseTwice({ given }: PlanOptions, hasFile: boolean, hasK6Stages: boolean): void {
  const own = ['url', 'rps', 'ramp', 'for'].filter((name) => given.has(name));
  if (hasFile && own.length > 0) {
    throw new DavyError(cliErrors.usage, `The load file says it already: leave out --${own.join(' and --')}.`);
  }
  const rates = own.filter((name) => name !== 'url');
  if (hasK6Stages && rates.length > 0) {
    throw new DavyError(cliErrors.usage, `The k6 options say it already: leave out --${rates.join(' and --')}.`);
  }
}

/** The file's plan with what the command line says about how it is run. */
function withOptions(plan: LoadPlan, options: PlanOptions): LoadPlan {
  const { given } = options;
  return {
    ...plan,
    model:
      given.has('arrivals') && plan.model.kind === 'open' ? { ...plan.model, arrivals: options.arrivals } : plan.model,
    seed: given.has('seed') ? options.seed : plan.seed,
    warmupMs: given.has('warmup') ? options.warmup : plan.warmupMs,
    timeoutMs: given.has('timeout') ? options.timeout : plan.timeoutMs,
    maxConnections: given.has('connections') ? options.connections : plan.maxConnections,
  };
}

function planFromOptions(options: PlanOptions, stages: LoadStage[]): LoadPlan {
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

export function withStages(plan: LoadPlan, stages: LoadStage[]): LoadPlan {
  const arrivals = plan.model.kind === 'open' ? plan.model.arrivals : 'poisson';
  return { ...plan, model: { kind: 'open', arrivals, stages } };
}

function defined<T>(fields: Record<string, T | undefined>): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, T] => entry[1] !== undefined));
}

export function rate(text: string): number {
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

export function count(text: string): number {
  return known(/^\d{1,9}$/.test(text) ? Number(text) : null, text, 'a whole number');
}

function known(value: number | null, text: string, what: string): number {
  if (value !== null) return value;
  throw new DavyError(cliErrors.usage, `"${text}" is not ${what}.`);
}

import { dirname, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { DavyError } from '../lib/error.ts';
import { parseRatePerSecond, parseShare } from '../lib/units.ts';
import { loadErrors } from '../load/errors.ts';
import { importK6Options, type K6Import } from '../load/k6-options.ts';
import { parseLoadFile } from '../load/load-file.ts';
import { type LoadPlan, type LoadStage, planDefaults } from '../load/plan.ts';
import type { Sla } from '../load/sla.ts';
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
  keepAlive: boolean;
  ca?: string;
  serverName?: string;
  insecure?: boolean;
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
    .option('--url <url>', 'one http:// or https:// address (HTTP/1.1), instead of a file')
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
    .option('--no-keep-alive', 'a connection of its own for every request')
    .option('--ca <file>', "PEM certificates to trust for https://, instead of Node's own list")
    .option('--server-name <name>', "the name that the server's certificate must have")
    .option('--insecure', 'check no certificate')
    .option('--k6 <file>', 'take arrival rates and thresholds from k6 options')
    .addOption(durationOption('--p95 <duration>', 'promise'))
    .addOption(durationOption('--p99 <duration>', 'promise'))
    .option('--errors <share>', 'promise: at most this share fails', share);
}

export function givenOptions(command: Command): Set<string> {
  const names = command.options.map((option) => option.attributeName());
  return new Set(names.filter((name) => command.getOptionValueSource(name) === 'cli'));
}

/** What is to be run, and what was promised. */
export interface GivenLoad {
  plan: LoadPlan;
  sla: Sla;
  /** What of k6's options was left out, in words. */
  notes: string[];
}

/**
 * The plan and the promises of a load file, of k6's options, or of the command line. A rate that the file or the command line gives goes
 * before k6's. Throws `cli/usage` and `load/bad-plan`.
 */
export async function readPlan(file: string | undefined, options: PlanOptions, io: CliIo): Promise<GivenLoad> {
  const k6 = options.k6 === undefined ? null : importK6Options(await readGivenFile(options.k6, io), options.k6);
  const read = file === undefined ? null : parseLoadFile(await readGivenFile(file, io), file);
  refuseTwice(options, read !== null, k6?.load != null);
  const ownRate = read !== null || options.rps !== undefined || options.ramp !== undefined;
  if (k6 !== null && !ownRate) refuseDifferences(k6, options.k6!);
  const ca = await caOf(file, read?.caFile ?? null, options, io);
  const base = read === null ? planFromOptions(options, k6) : withOptions(read.plan, options);
  const latency = { ...read?.sla.latency, ...k6?.sla.latency, ...defined({ p95: options.p95, p99: options.p99 }) };
  const errorShare = options.errors ?? k6?.sla.errorShare ?? read?.sla.errorShare ?? null;
  const notes = k6 === null ? [] : [...(ownRate ? unusedNotes(k6) : evenNotes(options)), ...k6.notes];
  return { plan: { ...base, tls: { ...base.tls, ca } }, sla: { latency, errorShare }, notes };
}

/** Another load than the one that k6 would send must not pass for it. */
function refuseDifferences(k6: K6Import, file: string): void {
  const none = { sentence: 'the k6 options have no arrival rate: give --rps or --ramp', at: { line: 1, column: 1 } };
  const found = k6.load === null && k6.differences.length === 0 ? [none] : k6.differences;
  const [first, ...more] = found.map(
    ({ sentence, at }) => new DavyError(loadErrors['bad-plan'], `${sentence}.`, { position: { file, ...at } }),
  );
  if (first) throw new DavyError(first.kind, first.message, { position: first.position, more });
}

/** Of k6's options only the promises are taken where the rate is given otherwise. */
function unusedNotes(k6: K6Import): string[] {
  const rate =
    k6.load === null ? [] : ['the rate is the one given here: the arrival rates of the k6 options are left out'];
  return [...rate, ...k6.differences.map(({ sentence }) => `${sentence}: left out, since the rate is given here`)];
}

function evenNotes({ given }: PlanOptions): string[] {
  return given.has('arrivals')
    ? []
    : ['requests are sent at even intervals, as k6 sends them; --arrivals poisson changes that'];
}

/** What is said twice is said differently sooner or later: then nobody knows which of the two was run. */
function refuseTwice({ given }: PlanOptions, hasFile: boolean, hasK6Load: boolean): void {
  const own = ['url', 'rps', 'ramp', 'for'].filter((name) => given.has(name));
  if (hasFile && own.length > 0) {
    throw new DavyError(cliErrors.usage, `The load file says it already: leave out --${own.join(' and --')}.`);
  }
  const rates = own.filter((name) => name !== 'url');
  if (hasK6Load && rates.length > 0) {
    throw new DavyError(cliErrors.usage, `The k6 options say it already: leave out --${rates.join(' and --')}.`);
  }
}

/** The trusted certificates, from the option, or from beside the load file that names them. */
async function caOf(file: string | undefined, named: string | null, options: PlanOptions, io: CliIo) {
  if (options.ca !== undefined) return readGivenFile(options.ca, io);
  return named === null ? null : readGivenFile(resolve(io.cwd, dirname(file ?? ''), named), io);
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
    keepAlive: given.has('keepAlive') ? options.keepAlive : plan.keepAlive,
    tls: {
      ...plan.tls,
      serverName: options.serverName ?? plan.tls.serverName,
      verify: options.insecure ? false : plan.tls.verify,
    },
  };
}

function planFromOptions(options: PlanOptions, k6: K6Import | null): LoadPlan {
  const { url, rps, ramp: ramped, given } = options;
  if (url === undefined) throw new DavyError(cliErrors.usage, 'Give a load file or --url.');
  const own = [rps, ramped].filter((one) => one !== undefined).length;
  const load = own === 0 ? (k6?.load ?? null) : null;
  if (own !== 1 && load === null) throw new DavyError(cliErrors.usage, 'Give one of --rps and --ramp.');
  const fromPerSecond = ramped?.from ?? rps ?? 0;
  const toPerSecond = ramped?.to ?? rps ?? 0;
  const maxVus = load?.maxVus ?? null;
  return {
    targets: [{ name: 'all', url, method: 'GET', headers: {}, body: null, weight: 1, check: null }],
    model: {
      kind: 'open',
      arrivals: load !== null && !given.has('arrivals') ? 'uniform' : options.arrivals,
      stages: load?.stages ?? [{ fromPerSecond, toPerSecond, durationMs: options.for }],
    },
    ...{ seed: options.seed, warmupMs: options.warmup, timeoutMs: options.timeout },
    maxConnections: maxVus === null || given.has('connections') ? options.connections : maxVus,
    maxOutstanding: maxVus ?? planDefaults.maxOutstanding,
    keepAlive: options.keepAlive && (k6?.keepAlive ?? true),
    tls: {
      ...{ ca: null, serverName: options.serverName ?? null },
      verify: !options.insecure && (k6?.verifyTls ?? true),
    },
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

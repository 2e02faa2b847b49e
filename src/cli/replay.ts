import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Judgement } from '../analysis/judge.ts';
import { parseCsv } from '../analysis/replay/csv.ts';
import { parseJsonLines } from '../analysis/replay/jsonl.ts';
import { parsePrometheus } from '../analysis/replay/prometheus.ts';
import { looksOf, type ReplayResult, replayTicks, typicalStepMs } from '../analysis/replay/replay.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { joined, padded, type Shown, term } from '../lib/outside-text/terminal.ts';
import { own } from '../lib/own.ts';
import { parseShare } from '../lib/units.ts';
import type { Tick } from '../metrics/tick.ts';
import { loadSpec } from '../spec/load.ts';
import type { PolicySpec, ServiceSpec } from '../spec/model.ts';
import { cliErrors } from './errors.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { type LedgerReplay, replayLedger } from './replay-ledger.ts';
import { canaryOf, serviceOf } from './service-choice.ts';

interface Options {
  service?: string;
  ticks?: string;
  data?: string;
  release?: string;
  canary?: string;
  weight?: string;
  output: string;
}

const MAX_FILE_BYTES = 512 * 1024 * 1024;

/** `replay`: the judge over recorded ticks; what it would have decided, when, and on what evidence. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('replay')
    .description('judge recorded traffic again: from the ledger, or from JSON lines, CSV or Prometheus')
    .argument('<file>', 'the davy.yaml whose policy judges')
    .option('--release <id>', 'a recorded release (default without --ticks: the last one of the service)')
    .option('--data <dir>', 'the data folder of `davy up` (default: .davy beside the spec)')
    .option('--ticks <file>', 'recorded ticks instead: .jsonl, .csv, or .json from a Prometheus range query')
    .option('--service <name>', 'the service (needed when the file declares several)')
    .option('--canary <version>', 'the version that was released (needed when the ticks hold several)')
    .option('--weight <share>', "the canary's weight, e.g. 10%; default: the policy's first step");
  outputOption(command).action(async (file: string, options: Options) => {
    const { spec } = await loadSpec(resolve(io.cwd, file));
    const service = serviceOf(spec, options.service);
    if (options.ticks === undefined) {
      const data = options.data ?? join(dirname(resolve(io.cwd, file)), '.davy');
      const found = await replayLedger(join(resolve(io.cwd, data), 'ledger'), service.name, options.release);
      printRecorded(io, options.output, found);
    } else
      print(
        io,
        options.output,
        await replayFile(io, service, own(spec.policies, service.policy)!, options.ticks, options),
      );
  });
}

async function replayFile(
  io: CliIo,
  service: ServiceSpec,
  policy: PolicySpec,
  file: string,
  options: Options,
): Promise<ReplayResult> {
  const ticks = await readTicks(resolve(io.cwd, file), service, policy);
  const canary = canaryOf(service, options.canary, versionsIn(ticks));
  const { stepIndex, weightBp } = stepFor(policy, options.weight);
  const times = ticks.map((tick) => tick.t);
  const lookMs = Math.max(policy.lookMs, typicalStepMs(times, policy.lookMs));
  const setup = { policy: { ...policy, lookMs }, stable: service.stable, canary };
  // The readers refuse a file without ticks, so there is a last look.
  return replayTicks(setup, looksOf(ticks, stepIndex, weightBp))!;
}

async function readTicks(path: string, service: ServiceSpec, policy: PolicySpec): Promise<Tick[]> {
  const name = basename(path);
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) {
      throw new DavyError(cliErrors.usage, `${name} has ${size} bytes, the limit is ${MAX_FILE_BYTES}.`);
    }
    const text = await readFile(path, 'utf8');
    if (name.endsWith('.csv')) return parseCsv(text, name, policy.lookMs);
    if (name.endsWith('.json')) return parsePrometheus(text, name, service.name, policy.errors);
    return parseJsonLines(text, name, policy.lookMs);
  } catch (error) {
    if (error instanceof DavyError) throw error;
    throw new DavyError(cliErrors.usage, `The ticks cannot be read: ${messageOf(error)}`, { cause: error });
  }
}

function versionsIn(ticks: readonly Tick[]): string[] {
  const names = new Set<string>();
  for (const { versions } of ticks) {
    if (typeof versions === 'object' && versions !== null) for (const name of Object.keys(versions)) names.add(name);
  }
  return [...names];
}

/** The step whose limits and hold apply: the one with the weight given, else the first; a weight of its own is kept. */
function stepFor(policy: PolicySpec, weight: string | undefined): { stepIndex: number; weightBp: number } {
  if (weight === undefined) return { stepIndex: 0, weightBp: policy.steps[0]!.weightBp };
  const share = parseShare(weight);
  if (share === null || share <= 0 || share > 1) {
    throw new DavyError(cliErrors.usage, `--weight ${weight} is not a share between 0% and 100%.`);
  }
  const weightBp = Math.round(share * 10_000);
  const found = policy.steps.findIndex((step) => step.weightBp === weightBp);
  return { stepIndex: Math.max(0, found), weightBp };
}

/** The parts that both kinds of replay answer with. */
type Answer = Pick<ReplayResult, 'at' | 'canaryRequests' | 'failedRequests'> & { judgement: Judgement };

function documentOf({ judgement, at, canaryRequests, failedRequests }: Answer): Record<string, unknown> {
  const { verdict, speed, reason, evidence, promote } = judgement;
  const metrics = Object.fromEntries(evidence.metrics.map((metric) => [metric.name, metric.evidence]));
  return {
    verdict,
    at,
    speed,
    reason,
    evidence: { total: evidence.total, threshold: evidence.threshold, metrics },
    promote: { passed: promote.passed, harmBound: promote.harmBoundShare },
    canaryRequests,
    failedRequests,
  };
}

function linesOf({ judgement, at, canaryRequests, failedRequests }: Answer): Shown[] {
  const { verdict, speed, reason, evidence } = judgement;
  const lines: Shown[] = [`${verdict}${speed === null ? '' : ` (${speed})`} at t=${at ?? '-'} s`, reason, ''];
  for (const metric of evidence.metrics) {
    const evidenceText = padded(metric.evidence.toPrecision(3), 10, 'left');
    lines.push(term`  ${padded(metric.name, 18)} ${evidenceText}  ${metric.says}`);
  }
  lines.push(term`  canary: ${canaryRequests} requests, ${failedRequests} failed`);
  return lines;
}

function print(io: CliIo, format: string, found: ReplayResult): void {
  if (format === 'json') printJson(io, documentOf(found));
  else io.out(term`${joined(linesOf(found))}\n`);
}

/** A recorded release: the last verdict, and whether every recorded decision came out alike. */
function printRecorded(io: CliIo, format: string, found: LedgerReplay): void {
  const { release, judgement, compared, looks } = found;
  if (judgement === null) throw new DavyError(cliErrors.usage, `${release} has no recorded looks.`);
  const reproduced = compared.every((one) => one.same);
  if (!reproduced) io.exitCode = 3;
  if (format === 'json') {
    printJson(io, { ...documentOf({ ...found, judgement }), release, looks, reproduced, decisions: compared });
    return;
  }
  const lines: Shown[] = [`${release}, ${looks} looks`, ...linesOf({ ...found, judgement }), ''];
  for (const { what, at, recorded, replayed, same } of compared) {
    const now = same ? 'the same now' : `now ${replayed.verdict}, evidence ${replayed.total.toPrecision(10)}`;
    lines.push(
      term`  ${what} at t=${at ?? '-'} s: ${recorded.verdict}, evidence ${recorded.total.toPrecision(10)}; ${now}`,
    );
  }
  lines.push(reproduced ? term`  reproduced: every recorded decision` : term`  NOT reproduced`);
  io.out(term`${joined(lines)}\n`);
}

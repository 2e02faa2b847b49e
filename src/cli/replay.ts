import { readFile, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import { parseCsv } from '../analysis/replay/csv.ts';
import { parseJsonLines } from '../analysis/replay/jsonl.ts';
import { parsePrometheus } from '../analysis/replay/prometheus.ts';
import { looksOf, type ReplayResult, replayTicks, typicalStepMs } from '../analysis/replay/replay.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { parseShare } from '../lib/units.ts';
import type { Tick } from '../metrics/tick.ts';
import { loadSpec } from '../spec/load.ts';
import type { PolicySpec } from '../spec/model.ts';
import { cliErrors } from './errors.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { canaryOf, serviceOf } from './service-choice.ts';

interface Options {
  service?: string;
  ticks: string;
  canary?: string;
  weight?: string;
  output: string;
}

const MAX_FILE_BYTES = 512 * 1024 * 1024;

/** `replay`: the judge over recorded ticks; what it would have decided, when, and on what evidence. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('replay')
    .description('judge recorded ticks: JSON lines, CSV, or the answer of a Prometheus range query')
    .argument('<file>', 'the davy.yaml whose policy judges')
    .requiredOption('--ticks <file>', 'recorded ticks: .jsonl, .csv, or .json from Prometheus')
    .option('--service <name>', 'the service (needed when the file declares several)')
    .option('--canary <version>', 'the version that was released (needed when the ticks hold several)')
    .option('--weight <share>', "the canary's weight, e.g. 10%; default: the policy's first step");
  outputOption(command).action(async (file: string, options: Options) => {
    const { spec } = await loadSpec(resolve(io.cwd, file));
    const service = serviceOf(spec, options.service);
    const recorded = spec.policies[service.policy]!;
    const ticks = await readTicks(resolve(io.cwd, options.ticks), recorded);
    const canary = canaryOf(service, options.canary, versionsIn(ticks));
    const { stepIndex, weightBp } = stepFor(recorded, options.weight);
    const lookMs = Math.max(
      recorded.lookMs,
      typicalStepMs(
        ticks.map((tick) => tick.t),
        recorded.lookMs,
      ),
    );
    const setup = { policy: { ...recorded, lookMs }, stable: service.stable, canary };
    const result = replayTicks(setup, looksOf(ticks, stepIndex, weightBp));
    if (result !== null) print(io, options.output, result);
  });
}

async function readTicks(path: string, policy: PolicySpec): Promise<Tick[]> {
  const name = basename(path);
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) {
      throw new DavyError(cliErrors.usage, `${name} has ${size} bytes, the limit is ${MAX_FILE_BYTES}.`);
    }
    const text = await readFile(path, 'utf8');
    if (name.endsWith('.csv')) return parseCsv(text, name, policy.lookMs);
    if (name.endsWith('.json')) return parsePrometheus(text, name, policy.errors, policy.lookMs);
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

function print(io: CliIo, format: string, { judgement, at, canaryRequests, failedRequests }: ReplayResult): void {
  const { verdict, speed, reason, evidence, promote } = judgement;
  const metrics = Object.fromEntries(evidence.metrics.map((metric) => [metric.name, metric.evidence]));
  if (format === 'json') {
    printJson(io, {
      verdict,
      at,
      speed,
      reason,
      evidence: { total: evidence.total, threshold: evidence.threshold, metrics },
      promote: { passed: promote.passed, harmBound: promote.harmBoundShare },
      canaryRequests,
      failedRequests,
    });
    return;
  }
  const lines = [`${verdict}${speed === null ? '' : ` (${speed})`} at t=${at ?? '-'} s`, reason, ''];
  for (const metric of evidence.metrics) {
    lines.push(`  ${metric.name.padEnd(18)} ${metric.evidence.toPrecision(3).padStart(10)}  ${metric.says}`);
  }
  lines.push(`  canary: ${canaryRequests} requests, ${failedRequests} failed`);
  io.out(`${lines.join('\n')}\n`);
}

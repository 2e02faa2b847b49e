import { resolve } from 'node:path';
import type { Command } from 'commander';
import { ordinaryTraffic } from '../analysis/simulate/ordinary-traffic.ts';
import { simulateMany } from '../analysis/simulate/pool.ts';
import { parseScenario } from '../analysis/simulate/scenario.ts';
import { type Summary, summarise } from '../analysis/simulate/summary.ts';
import type { TrafficSetup } from '../analysis/simulate/traffic.ts';
import { DavyError } from '../lib/error.ts';
import { columns, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { own } from '../lib/own.ts';
import { formatDurationMs, formatShare, parseShare } from '../lib/units.ts';
import { loadSpec } from '../spec/load.ts';
import type { PolicySpec, ServiceSpec } from '../spec/model.ts';
import { cliErrors } from './errors.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { serviceOf } from './service-choice.ts';

interface Options {
  service?: string;
  rps: string;
  baseErrors: string;
  scenario: string;
  runs: string;
  seed: string;
  output: string;
}

const MAX_RUNS = 100_000;
const MAX_RPS = 1e6;

/** `simulate`: what a policy does to a traffic, before anybody's traffic is at stake. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('simulate')
    .description('what this policy does to this traffic: false rollbacks, time to rollback, promotions')
    .argument('<file>', 'the davy.yaml')
    .option('--service <name>', 'the service (needed when the file declares several)')
    .option('--rps <n>', 'requests per second of the service', '100')
    .option('--base-errors <share>', "stable's error share", '0.1%')
    .option(
      '--scenario <text>',
      'healthy, errors:0.5%@12h, latency:+25%@1h, incident, bursts, hiccups; joined with commas',
      'healthy',
    )
    .option('--runs <n>', 'simulated releases', '500')
    .option('--seed <n>', 'the same seed gives the same answer', '1');
  outputOption(command).action(async (file: string, options: Options) => {
    const { spec } = await loadSpec(resolve(io.cwd, file));
    const service = serviceOf(spec, options.service);
    const policy = own(spec.policies, service.policy)!;
    const traffic = trafficOf(service, policy, options);
    const runs = numberOf('--runs', options.runs, 1, MAX_RUNS, true);
    const startedMs = io.clock.monoMs();
    const results = await simulateMany(
      { policy, traffic, guard: 'auto' },
      {
        runs,
        seed: numberOf('--seed', options.seed, 0, 2 ** 31, true),
        onProgress: (done, all) => progress(io, done, all),
        signal: io.signal,
      },
    );
    const { onsetMs } = traffic.scenario;
    const answer = {
      davy: summarise(
        results.map((one) => one.davy),
        onsetMs,
      ),
      plain: summarise(
        results.map((one) => one.plain),
        onsetMs,
      ),
    };
    if (io.interactive) io.say(term`\r\u001b[K`);
    if (options.output === 'json') {
      const asked = {
        service: service.name,
        rps: traffic.rps,
        baseErrors: traffic.baseErrorShare,
        scenario: traffic.scenario.text,
      };
      printJson(io, { ...asked, runs, seconds: (io.clock.monoMs() - startedMs) / 1000, ...answer });
    } else io.out(render(answer.davy, answer.plain, traffic, policy, (io.clock.monoMs() - startedMs) / 1000));
  });
}

function trafficOf(service: ServiceSpec, policy: PolicySpec, options: Options): TrafficSetup {
  const base = parseShare(options.baseErrors);
  if (base === null || base > 1) {
    throw new DavyError(cliErrors.usage, `--base-errors ${options.baseErrors} is not a share like 0.1%.`);
  }
  return ordinaryTraffic(service, policy, {
    rps: numberOf('--rps', options.rps, 0.001, MAX_RPS, false),
    baseErrorShare: base,
    scenario: parseScenario(options.scenario),
  });
}

function numberOf(option: string, text: string, min: number, max: number, whole: boolean): number {
  const value = Number(text.replace(/\/s$/, ''));
  if (Number.isFinite(value) && value >= min && value <= max && (!whole || Number.isInteger(value))) return value;
  throw new DavyError(
    cliErrors.usage,
    `${option} ${text} is not a ${whole ? 'whole ' : ''}number from ${min} to ${max}.`,
  );
}

function progress(io: CliIo, done: number, runs: number): void {
  if (io.interactive) io.say(term`\r${done} of ${runs} releases simulated`);
  else if (done === runs || Math.floor((4 * done) / runs) > Math.floor((4 * (done - 5)) / runs)) {
    io.say(term`${done} of ${runs} releases simulated\n`);
  }
}

function render(
  davy: Summary,
  plain: Summary,
  traffic: TrafficSetup,
  policy: PolicySpec,
  seconds: number,
): TerminalText {
  const share = (value: number): string => formatShare(value, 1);
  const time = (ms: number | null): string => (ms === null ? '-' : formatDurationMs(Math.round(ms / 1000) * 1000));
  const under = (label: string): TerminalText => term`  ${label}`;
  const rows: Shown[][] = [
    ['', 'davy', 'plain thresholds'],
    ['rolled back without harm', bounded(davy), bounded(plain)],
    [under('by which rule'), rules(davy), rules(plain)],
    ['rolled back after harm began', share(davy.caught.share), share(plain.caught.share)],
    [under('median time to rollback'), time(davy.caught.medianMs), time(plain.caught.medianMs)],
    [under('95 % of them within'), time(davy.caught.p95Ms), time(plain.caught.p95Ms)],
    ['failed requests served (mean)', davy.excessFailed.toFixed(1), plain.excessFailed.toFixed(1)],
    ['promoted', share(davy.promoted.share), share(plain.promoted.share)],
    [under('median time to promotion'), time(davy.promoted.medianMs), time(plain.promoted.medianMs)],
    ['inconclusive', share(davy.inconclusive.share), '-'],
    ['instances found at fault, per release', davy.instanceFaults.toFixed(2), '-'],
  ];
  const head = `policy ${policy.name}, ${traffic.rps} requests/s, stable fails ${formatShare(traffic.baseErrorShare)}, ${traffic.scenario.text}: ${davy.runs} releases in ${seconds.toFixed(1)} s`;
  return term`${head}\n\n${columns(rows)}\n`;
}

/** The share with the end of its 95 % interval, because 0 of 500 is not 0. */
function bounded({ falseRollback }: Summary): string {
  return `${formatShare(falseRollback.share, 1)} (at most ${formatShare(falseRollback.upTo, 1)})`;
}

function rules({ falseRollback, runs }: Summary): string {
  const parts = Object.entries(falseRollback.byRule).map(([rule, count]) => `${rule} ${formatShare(count / runs, 1)}`);
  return parts.length === 0 ? '-' : parts.join(', ');
}

/**
 * `npm run bench:judge-unsteady [-- --runs N] [--write]`: the judge where versions start cold, traffic drifts and instances
 * differ, in whole simulated releases by README's policy (hold-back and default warm-up included), beside the plain threshold
 * rule on the same counts. `--write` renews the section of docs/judge-validation.md. Seeds are fixed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type RunResult, simulateRelease } from '../src/analysis/simulate/release.ts';
import { parseScenario } from '../src/analysis/simulate/scenario.ts';
import { quantile } from '../src/analysis/simulate/summary.ts';
import type { PolicySpec } from '../src/spec/model.ts';
import { parseSpec } from '../src/spec/parse.ts';

const { values: options } = parseArgs({
  options: { runs: { type: 'string', default: '100' }, write: { type: 'boolean' } },
});
const runs = Number(options.runs);
const root = join(import.meta.dirname, '..');
const page = join(root, 'docs/judge-validation.md');
const MARK = '## Method 2';

/** README's own policy, read from README itself. */
const readme = readFileSync(join(root, 'README.md'), 'utf8');
const yaml = /```yaml\n([\s\S]*?)```/.exec(readme)![1]!;
const README_POLICY = parseSpec(yaml, 'README.md').spec.policies.standard!;
/** A release of three days at 10 % without limits: what evidence alone does, late in it too. */
const LONG_POLICY: PolicySpec = {
  ...README_POLICY,
  steps: [
    { weightBp: 1000, holdMs: 86_400_000, limits: { errorShare: null, latency: [] } },
    { weightBp: 9800, holdMs: 172_800_000, limits: { errorShare: null, latency: [] } },
  ],
  inconclusive: { holdMs: 86_400_000, then: 'hold' },
};

interface Setting {
  scenario: string;
  rps: number;
  policy?: PolicySpec;
  instances?: number;
  base?: number;
}

const HEALTHY: Setting[] = [
  { scenario: 'healthy', rps: 100 },
  { scenario: 'healthy', rps: 100, base: 0.001 },
  ...[20, 100, 1000].flatMap((rps) => [
    { scenario: 'cold:x3/30s', rps },
    { scenario: 'cold:x5/60s', rps },
    { scenario: 'cold:x10/120s', rps },
  ]),
  { scenario: 'drift:10%/1h', rps: 100 },
  { scenario: 'drift:20%/1h', rps: 100 },
  { scenario: 'incident:12/2m/5%', rps: 100 },
  { scenario: 'outage:x40/60s', rps: 100 },
  { scenario: 'nodes:8.5%', rps: 100 },
  { scenario: 'nodes:8.5%', rps: 100, instances: 1 },
  { scenario: 'node-outage:24/5m/30%', rps: 100 },
  { scenario: 'bursts:20', rps: 100, policy: LONG_POLICY, base: 0.002 },
];

const HARMED: Setting[] = [
  { scenario: 'latency:+25%', rps: 100 },
  { scenario: 'cold:x5/60s,latency:+25%', rps: 100 },
  { scenario: 'latency:+25%@25m', rps: 100 },
  { scenario: 'outage:x40/60s,latency:+50%', rps: 100 },
  { scenario: 'errors:50%@1h', rps: 100, policy: LONG_POLICY, base: 0.001 },
  { scenario: 'errors:0.5%', rps: 100, policy: LONG_POLICY, base: 0.001 },
  { scenario: 'errors:0.5%@1h', rps: 100, policy: LONG_POLICY, base: 0.001 },
  { scenario: 'errors:0.5%@12h', rps: 100, policy: LONG_POLICY, base: 0.001 },
];

function simulate({ scenario, rps, policy = README_POLICY, instances = 3, base = 0.0005 }: Setting): RunResult[] {
  const traffic = {
    ...{ stable: 'v1', canary: 'v2', rps, baseErrorShare: base, canaryInstances: instances, stableInstances: 3 },
    ...{ edges: [10, 25, 50, 100, 200, 300, 400, 500, 1000, 2500], medianMs: 50, latencySpread: 0.7 },
    scenario: parseScenario(scenario),
  };
  return Array.from({ length: runs }, (_, i) => simulateRelease({ policy, traffic, guard: 'auto' }, i + 1));
}

const share = (count: number): string => `${Number(((100 * count) / runs).toFixed(1))} %`;
const minutes = (ms: number): string =>
  ms < 120_000 ? `${Math.round(ms / 1000)} s` : `${Number((ms / 60_000).toFixed(1))} min`;
const about = ({ rps, instances, base, policy }: Setting): string =>
  [
    `${rps}/s`,
    ...(base === undefined ? [] : [`base ${base * 100} %`]),
    ...(instances === 1 ? ['one canary instance'] : []),
    ...(policy === undefined ? [] : ['72 h']),
  ].join(', ');

function healthyRow(setting: Setting): string {
  const found = simulate(setting);
  const ended = (end: string): number => found.filter(({ davy }) => davy.end === end).length;
  const plain = found.filter((run) => run.plain.end === 'rolled-back').length;
  const medianMs = quantile(
    found.map(({ davy }) => davy.atMs),
    0.5,
  )!;
  return `| \`${setting.scenario}\` | ${about(setting)} | ${share(ended('rolled-back'))} | ${share(ended('inconclusive'))} | ${minutes(medianMs)} | ${share(plain)} |`;
}

function harmedRow(setting: Setting): string {
  const found = simulate(setting);
  const onsetMs = parseScenario(setting.scenario).onsetMs;
  const caught = found.filter(({ davy }) => davy.end === 'rolled-back' && !davy.falsely);
  const early = found.filter(({ davy }) => davy.falsely).length;
  const delays = caught.map(({ davy }) => davy.atMs - onsetMs);
  const delay = delays.length === 0 ? '-' : `${minutes(quantile(delays, 0.5)!)} / ${minutes(quantile(delays, 0.95)!)}`;
  return `| \`${setting.scenario}\` | ${about(setting)} | ${share(caught.length)} | ${delay} | ${share(early)} |`;
}

const lines = [
  MARK,
  '',
  `Written by \`npm run bench:judge-unsteady -- --runs ${runs} --write\` (${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores). Whole releases by README's policy`,
  '(10, 50, 98 %; 50 min of holds; warm-up 2 min) or, where it says 72 h, by one of three days without limits; three canary and three stable instances, a base of 0.05 % unless given.',
  `0 of ${runs} means at most ${Number((300 / runs).toFixed(1))} % with 95 % confidence. "plain" is the threshold rule on the same policy and counts.`,
  '',
  '### Healthy releases',
  '',
  '| world | traffic | rolled back | inconclusive | median end | plain: rolled back |',
  '| --- | --- | --- | --- | --- | --- |',
];
const print = (line: string): void => {
  lines.push(line);
  console.log(line);
};
for (const setting of HEALTHY) print(healthyRow(setting));
lines.push(
  '',
  '### Harm',
  '',
  '| world | traffic | found | delay from the onset, median / p95 | rolled back before it |',
  '| --- | --- | --- | --- | --- |',
);
for (const setting of HARMED) print(harmedRow(setting));
if (options.write) {
  const text = readFileSync(page, 'utf8');
  const at = text.indexOf(`\n${MARK}\n`);
  writeFileSync(page, `${(at < 0 ? text : text.slice(0, at)).trimEnd()}\n\n${lines.join('\n')}\n`);
}

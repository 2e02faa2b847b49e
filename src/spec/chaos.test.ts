import { expect, test } from 'vitest';
import { DavyError } from '../lib/error.ts';
import { parseSpec } from './parse.ts';

const base = `davy: 1
system: t
services:
  a: { listen: 8081, stable: v1, release: p, versions: { v1: { run: node a.mjs, replicas: 2 } } }
policies:
  p: { steps: [{ weight: 100%, hold: 1s }] }
`;

const experiment = (fields: string): string => `${base}chaos:
  experiments:
    slow:
      hypothesis: it stays quick
      probes: [{ name: a, gateway: a, errors: 1%, p95: 500ms }]
      fault: { delay: 200ms }
      scope: { service: a }
      for: 30s
${fields}`;

const freeze = (from: string, to: string): string => `  freeze: [{ from: ${from}T00:00:00Z, to: ${to}T00:00:00Z }]\n`;

test('a schedule is refused at the field that is wrong', () => {
  expect(() => parseSpec(experiment('      schedule: "0 0 30 2 *"\n'), 'davy.yaml')).toThrow(
    expect.objectContaining({
      message: 'chaos.experiments.slow.schedule names day 30 of month 2, which no year has',
      position: expect.objectContaining({ line: 15, column: 22 }),
    }),
  );
});

test('an experiment is read with its defaults', () => {
  const { spec } = parseSpec(experiment('      every: 4h\n'), 'davy.yaml');
  expect(spec.chaos?.limits).toEqual({ instancesShare: 0.5, requestsShare: 0.5, minHealthy: 1 });
  expect(spec.chaos?.experiments.slow).toEqual({
    name: 'slow',
    hypothesis: 'it stays quick',
    probes: [
      {
        kind: 'gateway',
        name: 'a',
        service: 'a',
        errorShare: 0.01,
        latency: [{ quantile: 0.95, underMs: 500 }],
        minRequests: 20,
      },
    ],
    fault: { kind: 'delay', delayMs: 200 },
    scope: { service: 'a', version: null, instances: null, zone: null, share: 1 },
    durationMs: 30_000,
    steadyMs: 5_000,
    stopErrorShare: null,
    detectWithinMs: null,
    recoverWithinMs: 60_000,
    schedule: { kind: 'every', everyMs: 14_400_000 },
    duringRelease: false,
  });
});

test.each([
  ['no hypothesis', experiment('').replace('      hypothesis: it stays quick\n', ''), 'spec/missing-field'],
  ['no probe', experiment('').replace('[{ name: a, gateway: a, errors: 1%, p95: 500ms }]', '[]'), 'spec/out-of-range'],
  ['two faults', experiment('').replace('delay: 200ms', 'delay: 200ms, kill: true'), 'spec/bad-value'],
  ['no fault', experiment('').replace('{ delay: 200ms }', '{}'), 'spec/bad-value'],
  [
    'an unknown service',
    experiment('').replace('scope: { service: a }', 'scope: { service: b }'),
    'spec/unknown-service',
  ],
  ['an unknown service in a probe', experiment('').replace('gateway: a', 'gateway: x'), 'spec/unknown-service'],
  ['an unknown version', experiment('').replace('service: a }', 'service: a, version: v9 }'), 'spec/unknown-version'],
  [
    'a version that only every object has',
    experiment('').replace('service: a }', 'service: a, version: constructor }'),
    'spec/unknown-version',
  ],
  ['two schedules', experiment('      every: 4h\n      schedule: "0 * * * *"\n'), 'spec/bad-value'],
  ['a cron line that is none', experiment('      schedule: "61 * * * *"\n'), 'spec/schedule-syntax'],
  ['a cron line with seconds', experiment('      schedule: "0 0 0 * * *"\n'), 'spec/schedule-syntax'],
  ['a cron line for no day', experiment('      schedule: "0 0 30 2 *"\n'), 'spec/schedule-syntax'],
  ['a freeze from a day that no year has', experiment(freeze('2026-02-30', '2026-03-01')), 'spec/bad-value'],
  ['a freeze to a month that no year has', experiment(freeze('2026-02-20', '2026-13-01')), 'spec/bad-value'],
  ['a freeze that ends before it begins', experiment(freeze('2026-03-02', '2026-03-01')), 'spec/out-of-range'],
  [
    'a probe of both kinds',
    experiment('').replace('gateway: a,', 'gateway: a, http: "http://127.0.0.1/",'),
    'spec/bad-value',
  ],
  ['a fault without end', experiment('').replace('for: 30s', 'for: 2h'), 'spec/out-of-range'],
])('%s is refused', (_, text, code) => {
  try {
    parseSpec(text, 'davy.yaml');
    expect.unreachable();
  } catch (error) {
    expect(error).toBeInstanceOf(DavyError);
    expect((error as DavyError).code).toBe(code);
    expect((error as DavyError).position?.line).toBeGreaterThan(6);
  }
});

test.each([
  ['a kill of one of two', 'fault: { kill: true }', 'scope: { service: a, instances: 1 }', null],
  ['a kill of both', 'fault: { kill: true }', 'scope: { service: a }', 'hits 2 of 2 instances'],
  ['a delay for everybody', 'fault: { delay: 1s }', 'scope: { service: a }', 'hits 100% of the requests'],
  ['a delay for half of one of two', 'fault: { delay: 1s }', 'scope: { service: a, instances: 1, share: 50% }', null],
])('%s is held against the limits before it is tried', (_, fault, scope, says) => {
  const text = experiment('').replace('fault: { delay: 200ms }', fault).replace('scope: { service: a }', scope);
  const warnings = parseSpec(text, 'davy.yaml').warnings.filter((one) => one.code === 'spec/chaos-beyond-limits');
  expect(warnings.map((one) => one.sentence)).toEqual(says === null ? [] : [expect.stringContaining(says)]);
});

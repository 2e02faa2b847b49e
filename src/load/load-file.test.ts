import { expect, test } from 'vitest';
import { DavyError } from '../lib/error.ts';
import { parseLoadFile } from './load-file.ts';
import { checkPlan } from './plan.ts';

test('a load file with a mix, stages and promises', () => {
  const { plan, sla } = parseLoadFile(
    `
targets:
  - { name: top, url: "http://127.0.0.1:8000/top", weight: 8, expect: { status: 200, includes: items } }
  - { url: "http://127.0.0.1:8000/discoveries", method: POST, body: "{}", headers: { content-type: application/json } }
stages: [{ to: 100/s, for: 10s }, { to: 100/s, for: 1m }]
sla: { p95: 500ms, p99.9: 1s, errors: 0.1% }
`,
    'mix.yaml',
  );
  checkPlan(plan);
  expect(plan.targets.map((target) => [target.name, target.weight])).toEqual([
    ['top', 8],
    ['target-2', 1],
  ]);
  expect(plan.targets[0]!.check).toEqual({ statuses: [200], bodyIncludes: 'items' });
  expect(plan.model).toEqual({
    kind: 'open',
    arrivals: 'poisson',
    stages: [
      { fromPerSecond: 0, toPerSecond: 100, durationMs: 10_000 },
      { fromPerSecond: 100, toPerSecond: 100, durationMs: 60_000 },
    ],
  });
  expect(sla).toEqual({ latency: { p95: 500, p999: 1_000 }, errorShare: 0.001 });
});

test.each([
  ['an unknown field', 'targets: [{ url: "http://a/" }]\nrps: 5', 'rps'],
  ['no rate', 'targets: [{ url: "http://a/" }]', 'either rate'],
  [
    'stages and how long it lasts',
    'targets: [{ url: "http://a/" }]\nstages: [{ to: 1/s, for: 1s }]\nfor: 5m',
    'leave out for',
  ],
  ['a status that no answer has', 'targets: [{ url: "http://a/", expect: { status: 99 } }]\nrate: 1/s', 'status'],
  ['rate and stages', 'targets: [{ url: "http://a/" }]\nrate: 1/s\nstages: [{ to: 1/s, for: 1s }]', 'either rate'],
  ['a wrong unit', 'targets: [{ url: "http://a/" }]\nrate: 5', 'rate'],
  ['a wrong rate', 'targets: [{ url: "http://a/" }]\nrate: fast', 'is not a rate'],
  ['no YAML', 'targets: [', ''],
  ['an alias bomb', `a: &a [1,1]\n${Array.from({ length: 30 }, (_, i) => `b${i}: [*a,*a]`).join('\n')}`, ''],
])('%s is a bad plan', (_, text, says) => {
  expect(() => parseLoadFile(text, 'mix.yaml')).toThrow(
    expect.objectContaining({ code: 'load/bad-plan', message: expect.stringContaining(says) }),
  );
});

test('a stage holds a rate, or goes to one from where the last ended', () => {
  const { plan } = parseLoadFile(
    'targets: [{ url: "http://a/" }]\nstages: [{ rate: 50/s, for: 2s }, { to: 150/s, for: 1s }, { from: 10/s, to: 20/s, for: 1s }]',
    'mix.yaml',
  );
  expect(plan.model).toMatchObject({
    stages: [
      { fromPerSecond: 50, toPerSecond: 50, durationMs: 2_000 },
      { fromPerSecond: 50, toPerSecond: 150, durationMs: 1_000 },
      { fromPerSecond: 10, toPerSecond: 20, durationMs: 1_000 },
    ],
  });
});

test('every problem of a load file is told, with its line and column', () => {
  const text = `targets:
  - { url: "http://a/", wait: 5 }
stages:
  - { from: 5/s, for: 2s }
  - { rate: 5/s, to: 6/s, for: soon }
warmup: 5
`;
  const error = thrownBy(() => parseLoadFile(text, 'mix.yaml'));
  expect([error, ...error.more].map(({ message, position }) => [position, message])).toEqual([
    [{ file: 'mix.yaml', line: 2, column: 5 }, 'targets.0 has no field wait.'],
    [{ file: 'mix.yaml', line: 4, column: 5 }, 'stages.0 needs either rate or to.'],
    [{ file: 'mix.yaml', line: 5, column: 32 }, 'stages.1.for "soon" is not a duration such as 30s.'],
    [{ file: 'mix.yaml', line: 6, column: 9 }, 'warmup is not right: Invalid input: expected string, received number.'],
  ]);
});

function thrownBy(work: () => unknown): DavyError {
  try {
    work();
  } catch (error) {
    if (error instanceof DavyError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

test('how connections are made can be said in the file', () => {
  const head = 'targets: [{ url: "https://127.0.0.1/" }]\nrate: 1/s\n';
  expect(parseLoadFile(head, 'mix.yaml')).toMatchObject({
    ...{ plan: { keepAlive: true, tls: { ca: null, serverName: null, verify: true } }, caFile: null },
  });
  const text = `${head}keepAlive: false\ntls: { ca: certs/ca.pem, serverName: shop.test, verify: false }`;
  expect(parseLoadFile(text, 'mix.yaml')).toMatchObject({
    ...{ plan: { keepAlive: false, tls: { serverName: 'shop.test', verify: false } }, caFile: 'certs/ca.pem' },
  });
});

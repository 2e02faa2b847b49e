import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { DavyError } from '../lib/error.ts';
import { expectedIn } from './arrivals.ts';
import { k6DurationMs } from './k6-fields.ts';
import { importK6Options, type K6Import } from './k6-options.ts';
import type { LoadStage } from './plan.ts';

const read = (content: string): K6Import => importK6Options(content, 'script.js');
const scenario = (fields: string): K6Import =>
  read(`export const options = { scenarios: { a: { executor: 'constant-arrival-rate', ${fields} } } };`);
const sentences = ({ differences }: K6Import): string[] => differences.map(({ sentence }) => sentence);

/** The rate (per second) of a load at some moments (ms). */
function rateAt(stages: readonly LoadStage[], atMs: number): number {
  let startMs = 0;
  for (const { fromPerSecond, toPerSecond, durationMs } of stages) {
    if (atMs < startMs + durationMs) {
      return fromPerSecond + ((toPerSecond - fromPerSecond) * (atMs - startMs)) / durationMs;
    }
    startMs += durationMs;
  }
  return 0;
}

const total = (stages: readonly LoadStage[]): number => stages.reduce((sum, stage) => sum + expectedIn(stage), 0);
const lasts = (stages: readonly LoadStage[]): number => stages.reduce((sum, stage) => sum + stage.durationMs, 0);

const script = `
import http from 'k6/http';
// export const options = { vus: 1 };
export const options = {
  scenarios: {
    /* as every day */
    steady: { executor: 'constant-arrival-rate', rate: 2400, timeUnit: '1m', duration: '10s', preAllocatedVUs: 10, maxVUs: 40 },
    ramp: {
      executor: "ramping-arrival-rate", startTime: '5s', timeUnit: 1000, preAllocatedVUs: 10, gracefulStop: '3s',
      stages: [{ duration: 5000, target: 10 }, { duration: '5s', target: 10, }],
    },
  },
  thresholds: {
    http_req_duration: ['p(95)<500', 'p(99) < 1000', 'p(95)<300', 'avg<200'],
    http_req_failed: [{ threshold: 'rate<0.01', abortOnFail: true }],
    checks: ['rate>0.9'],
  },
  noConnectionReuse: true,
  insecureSkipTLSVerify: true,
  discardResponseBodies: true,
};
export default function () { http.get('http://test/'); }
`;

test('parallel scenarios with a start time, units and milliseconds give the load that k6 gives', () => {
  const { load, differences } = read(script);
  expect(differences).toEqual([]);
  // 40/s for 5 s, with the ramp 40 to 50/s for 5 s, then the ramp alone: 10/s for 5 s.
  expect(load).toEqual({
    stages: [
      { fromPerSecond: 40, toPerSecond: 40, durationMs: 5_000 },
      { fromPerSecond: 40, toPerSecond: 50, durationMs: 5_000 },
      { fromPerSecond: 10, toPerSecond: 10, durationMs: 5_000 },
    ],
    maxVus: 50,
  });
  expect(total(load!.stages)).toBe(475);
});

test('every field that is left out is named', () => {
  const { sla, notes, keepAlive, verifyTls } = read(script);
  expect(sla).toEqual({ latency: { p95: 300, p99: 1_000 }, errorShare: 0.01 });
  expect([keepAlive, verifyTls]).toEqual([false, false]);
  const wanted = ['functions are not run', 'discardResponseBodies', 'gracefulStop', 'maxVUs', 'avg<200', 'rate>0.9'];
  for (const part of [...wanted, 'abortOnFail']) expect(notes.join('\n')).toContain(part);
});

test('one scenario keeps its start time, and a stage of no time is a jump', () => {
  const { load } = read(`export const options = { scenarios: { a: {
    executor: 'ramping-arrival-rate', startTime: '2s', startRate: 5, timeUnit: '1s', preAllocatedVUs: 3,
    stages: [{ duration: '1s', target: 5 }, { duration: 0, target: 50 }, { duration: '1s', target: 50 }],
  } } }`);
  expect(load).toEqual({
    stages: [
      { fromPerSecond: 0, toPerSecond: 0, durationMs: 2_000 },
      { fromPerSecond: 5, toPerSecond: 5, durationMs: 1_000 },
      { fromPerSecond: 50, toPerSecond: 50, durationMs: 1_000 },
    ],
    maxVus: 3,
  });
});

test('scenarios at once add up, at every moment and in all', () => {
  const anyStage = fc.record({ duration: fc.integer({ min: 0, max: 9_000 }), target: fc.nat(200) });
  const anyScenario = fc.record({
    startTime: fc.nat(10_000),
    startRate: fc.nat(200),
    stages: fc.array(anyStage, { minLength: 1, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(anyScenario, { minLength: 1, maxLength: 4 }), fc.nat(40_000), (all, atMs) => {
      const one = (scenarios: typeof all) => {
        const named = scenarios.map((given, i) => [`s${i}`, { executor: 'ramping-arrival-rate', ...given }]);
        return read(JSON.stringify({ scenarios: Object.fromEntries(named) })).load!.stages;
      };
      const together = one(all);
      const each = all.map((given) => one([given]));
      expect(total(together)).toBeCloseTo(
        each.reduce((sum, stages) => sum + total(stages), 0),
        4,
      );
      expect(rateAt(together, atMs)).toBeCloseTo(
        each.reduce((sum, stages) => sum + rateAt(stages, atMs), 0),
        4,
      );
      expect(lasts(together)).toBe(Math.max(...each.map(lasts)));
    }),
  );
});

describe('a load that would be another one is a difference, with its place', () => {
  it.each<[string, string, string]>([
    ['a field nobody knows', "rate: 5, duration: '1s', rates: 2", 'scenarios.a.rates is not known; did you mean rate?'],
    [
      'a duration that has to be run',
      'rate: 5, duration: DURATION',
      'scenarios.a.duration has to be run to be known: DURATION',
    ],
    [
      'a rate from the environment',
      "rate: __ENV.RATE, duration: '1s'",
      'scenarios.a.rate has to be run to be known: __ENV.RATE',
    ],
    ['a rate that is calculated', "rate: 5 * 60, duration: '1s'", 'scenarios.a.rate has to be run to be known: 5 * 60'],
    ['a rate in quotes', "rate: '5', duration: '1s'", 'scenarios.a.rate is "5", not a whole number'],
    ['half a request', "rate: 0.5, duration: '1s'", 'scenarios.a.rate is 0.5, not a whole number'],
    ['no rate', "duration: '1s'", 'scenarios.a.rate is missing'],
    ['no duration', 'rate: 5', 'scenarios.a.duration is missing'],
    ['a duration that is none', "rate: 5, duration: 'soon'", 'scenarios.a.duration is "soon", not a duration such as'],
    ['a time unit of nothing', "rate: 5, duration: '1s', timeUnit: '0s'", 'scenarios.a.timeUnit is 0'],
    ['fields from elsewhere', "...base, rate: 5, duration: '1s'", 'scenarios.a: ...base has to be run to be known'],
    ['users in words', "rate: 5, duration: '1s', preAllocatedVUs: 'ten'", 'scenarios.a.preAllocatedVUs is "ten"'],
  ])('%s', (_, fields, sentence) => {
    const { differences } = scenario(fields);
    expect(differences.map((one) => one.sentence)).toEqual([expect.stringContaining(sentence)]);
    expect(differences[0]!.at).toMatchObject({ line: 1, column: expect.any(Number) });
  });

  it.each<[string, string, string]>([
    [
      'users that wait for answers',
      '{"vus": 100, "stages": [{"duration": "4m3s", "target": 100}]}',
      'vus, stages: users that wait for answers',
    ],
    [
      'a scenario of such users',
      '{"scenarios": {"u": {"executor": "ramping-vus", "stages": []}}}',
      'scenarios.u: ramping-vus waits for answers',
    ],
    ['a scenario without an executor', '{"scenarios": {"u": {}}}', 'scenarios.u: has no executor'],
    [
      'scenarios that are made elsewhere',
      'export const options = { scenarios: make() };',
      'scenarios is no object that can be read',
    ],
    ['a part of the load', '{"executionSegment": "0:1/2"}', 'executionSegment runs a part of the load'],
    ['other addresses', '{"hosts": {"a": "127.0.0.1"}}', 'hosts sends requests to other addresses'],
    ['an option nobody knows', '{"scenaros": {}}', 'scenaros is not known; did you mean scenarios?'],
    ['a name that every object inherits', '{"constructor": {}}', 'constructor is not known'],
    ['options from elsewhere', 'export const options = { ...base };', '...base has to be run to be known'],
    ['a flag that is none', '{"noConnectionReuse": "yes"}', 'noConnectionReuse is neither true nor false'],
  ])('%s', (_, content, sentence) => {
    expect(sentences(read(content))).toEqual([expect.stringContaining(sentence)]);
  });

  it('a limit below the rate, and different functions', () => {
    const two = (more: string) => `{"scenarios": {
      "a": {"executor": "constant-arrival-rate", "rate": 10, "duration": "1s"${more}},
      "b": {"executor": "constant-arrival-rate", "rate": 10, "duration": "1s"}
    }, "rps": 15}`;
    expect(sentences(read(two('')))).toEqual([
      expect.stringContaining('rps: 15 holds back what the scenarios send (up to 20/s)'),
    ]);
    expect(sentences(read(two(', "exec": "buy"').replace('15', '20')))).toEqual([
      expect.stringContaining('different functions'),
    ]);
  });
});

describe('where options stand', () => {
  const options = "{ scenarios: { a: { executor: 'constant-arrival-rate', rate: 5, duration: '1s' } } }";

  it.each<[string, string]>([
    ['a constant', `export const options = ${options};`],
    ['without a semicolon', `export let options = ${options}\nexport default function () {}`],
    ['with a type', `import { Options } from 'k6/options';\nexport const options: Options = ${options};`],
    ['satisfying a type', `export const options = ${options} satisfies Options;`],
    [
      'beside the word in comments, strings, templates and patterns',
      `// options = 1\nconst a = "export const options = {"; const b = \`options.x = 1\`; const c = /["options = ]/;\nexport const options = ${options};\n/* options.rps = 5 */ const d = 'options.rps = 5';`,
    ],
    [
      'beside others of the name',
      `export const options = ${options};\nfunction f(options = {}) { const options2 = {}; foo.options = 1; return options === null; }`,
    ],
    ['as JSON', '{"scenarios": {"a": {"executor": "constant-arrival-rate", "rate": 5, "duration": "1s"}}}'],
    [
      'after a byte order mark',
      `\ufeff${'{"scenarios": {"a": {"executor": "constant-arrival-rate", "rate": 5, "duration": "1s"}}}'}`,
    ],
  ])('%s', (_, content) => {
    expect(read(content)).toMatchObject({
      load: { stages: [{ fromPerSecond: 5, toPerSecond: 5, durationMs: 1_000 }] },
      differences: [],
    });
  });

  it.each<[string, string, string, object]>([
    ['nothing', '', 'No k6 options were found', {}],
    ['a comment alone', `// export const options = ${options}`, 'No k6 options were found', {}],
    ['a list', '[1]', 'No k6 options were found', {}],
    ['options that do not end', 'export const options = { stages: [', 'cannot be read', { line: 1 }],
    [
      'options that are called',
      'export const options = Object.assign({}, base);',
      'have to be run',
      { line: 1, column: 24 },
    ],
    [
      'options that stand there twice',
      `export const options = ${options};\nexport const options = ${options};`,
      'twice',
      { line: 2 },
    ],
    [
      'options that are changed later',
      `export const options = ${options};\noptions.scenarios.a.rate = 10;`,
      'changes its options',
      { line: 2, column: 1 },
    ],
    [
      'options that are changed by name',
      `export const options = ${options};\noptions["rps"] = 10;`,
      'changes its options',
      { line: 2 },
    ],
    [
      'options that are assigned to',
      `export const options = ${options};\nObject.assign(options, { rps: 1 });`,
      'changes its options',
      { line: 2 },
    ],
    ['options that get their value later', 'export let options;\noptions = {};', 'no value', { line: 1 }],
    ['JSON with something behind it', '{}\n{}', 'Something follows', { line: 2, column: 1 }],
  ])('%s: refused', (_, content, says, position) => {
    const thrown = (): unknown => {
      try {
        return read(content);
      } catch (error) {
        return error;
      }
    };
    expect(thrown()).toBeInstanceOf(DavyError);
    expect(thrown()).toMatchObject({ code: 'load/bad-plan', message: expect.stringContaining(says) });
    expect(thrown()).toMatchObject({ position: { file: 'script.js', ...position } });
  });

  it('nothing of a script is run', () => {
    const name = 'davyWasHere';
    const content = `globalThis.${name} = true;\nexport const options = { scenarios: (globalThis.${name} = true) };`;
    expect(sentences(read(content))).toEqual(['scenarios is no object that can be read']);
    expect(name in globalThis).toBe(false);
  });
});

test.each<[number | string, number | null]>([
  ['30s', 30_000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['1d2h', 93_600_000],
  ['2h1d', null],
  ['500', 500],
  [500, 500],
  [-1, null],
  ['', null],
  ['5 s', null],
  ['1s junk', null],
])('a duration of k6, %j, is %j ms', (given, expected) => {
  expect(k6DurationMs(given)).toBe(expected);
});

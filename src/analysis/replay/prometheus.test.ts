import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorClass } from '../../spec/model.ts';
import { parsePrometheus } from './prometheus.ts';

type Labels = Record<string, string>;
/** A sample every 30 s from second 0; null: none. */
type Samples = (number | string | null)[];

function one(labels: Labels, samples: Samples) {
  const values = samples.flatMap((value, i) => (value === null ? [] : [[30 * i, String(value)]]));
  return { metric: { __name__: 'istio_requests_total', ...labels }, values };
}

const total = (code: string, samples: Samples, more: Labels = {}) =>
  one({ destination_version: 'v2', pod: 'v2-a', response_code: code, ...more }, samples);
const bucket = (le: string, samples: Samples, more: Labels = {}) =>
  one(
    { __name__: 'istio_request_duration_milliseconds_bucket', destination_version: 'v2', pod: 'v2-a', le, ...more },
    samples,
  );

const answer = (...result: object[]) => ({ status: 'success', data: { resultType: 'matrix', result } });
const all: ErrorClass[] = ['5xx', 'timeout', 'reset'];
const parse = (answers: unknown, errors = all) =>
  parsePrometheus(JSON.stringify(answers), 'range.json', 'shop', errors);
/** Requests and errors of each tick, of one version. */
const counts = (answers: unknown, version = 'v2', errors = all) =>
  parse(answers, errors).map(({ versions }) =>
    (versions[version] ?? []).map(({ requests, errors: failed }) => [requests, failed]),
  );

describe('counters born between two scrapes', () => {
  it('count from 0 where their source was up before', () => {
    expect(counts(answer(total('200', [100, 170, 240]), total('503', [null, 30, 60])))).toEqual([
      [[100, 30]],
      [[100, 30]],
    ]);
  });

  it('count as what a series that was there with 0 would', () => {
    const anyCounts = fc.array(fc.nat(100), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(anyCounts, fc.nat(10), (perTick, bornAfter) => {
        let sum = 0;
        const grown = perTick.map((count, i) => (sum += i < bornAfter ? 0 : count));
        const whole = [0, ...grown];
        const born = whole.map((value, i) => (i <= bornAfter ? null : value));
        const steady = total(
          '200',
          whole.map((_, i) => 10 * i),
        );
        expect(counts(answer(steady, total('503', born)))).toEqual(counts(answer(steady, total('503', whole))));
      }),
    );
  });

  it('say nothing where nobody knows when their source began', () => {
    const late = total('503', [null, 30, 60], { pod: 'v2-b' });
    expect(counts(answer(total('200', [100, 170, 240]), late))).toEqual([
      [[70, 0]],
      [
        [70, 0],
        [30, 30],
      ],
    ]);
  });

  it('are seen in a gateway that counts for all instances, also when the whole instance is new', () => {
    const scraped = { instance: '127.0.0.1:9000', job: 'davy' };
    const of = (version: string, samples: Samples) =>
      one(
        { destination_version: version, destination_instance: `shop/${version}/1`, response_code: '200', ...scraped },
        samples,
      );
    expect(counts(answer(of('v1', [10, 20, 30]), of('v2', [null, 4, 9])))).toEqual([[[4, 0]], [[5, 0]]]);
  });

  it('after a reset count from 0 like every other one', () => {
    expect(counts(answer(total('200', [100, 10, 30]), total('503', [null, 5, 5])))).toEqual([[[15, 5]], [[20, 0]]]);
  });
});

it('a sample that is missing leaves its counts to the next one', () => {
  const other = total('200', [0, 10, 20, 30], { pod: 'v2-b' });
  expect(counts(answer(total('200', [100, null, 300, 400]), other))).toEqual([
    [[10, 0]],
    [
      [200, 0],
      [10, 0],
    ],
    [
      [100, 0],
      [10, 0],
    ],
  ]);
});

it('a value that is no number is left for the judge to name, and does not make the next one a reset', () => {
  expect(counts(answer(total('200', [100, 'NaN', 300])))).toEqual([[[Number.NaN, 0]], [[200, 0]]]);
});

it('each interval is as long as its scrapes are apart, the first one too', () => {
  expect(parse(answer(total('200', [1, null, 3, 4, 5]))).map(({ dtMs }) => dtMs)).toEqual([60_000, 30_000, 30_000]);
});

it('parts of a long range are one series', () => {
  const parts = [answer(total('200', [1, 2, 3])), answer(total('200', [null, null, 3, 5]))];
  expect(counts(parts)).toEqual([[[1, 0]], [[1, 0]], [[2, 0]]]);
});

describe('what counts as an error', () => {
  it.each<[string, Labels, ErrorClass[], number]>([
    ['a 503 of the version', { response_code: '503', response_flags: '-' }, ['5xx'], 10],
    ['a request that timed out, asked for as such', { response_code: '504', response_flags: 'UT' }, ['timeout'], 10],
    ['a request that timed out, where only 5xx count', { response_code: '504', response_flags: 'UT' }, ['5xx'], 0],
    ['a connection that broke', { response_code: '503', response_flags: 'UC,URX' }, ['reset'], 10],
    ['no answer, for a reason that nobody names', { response_code: '0', response_flags: '-' }, ['reset'], 10],
    ['a client that left', { response_code: '0', response_flags: 'DC' }, ['reset', '5xx'], 0],
    ['a gRPC call that failed', { response_code: '200', grpc_response_status: '13' }, ['5xx'], 10],
    ['a gRPC call that found nothing', { response_code: '200', grpc_response_status: '5' }, ['5xx'], 0],
    ['a gRPC call that succeeded', { response_code: '200', grpc_response_status: '0' }, ['5xx'], 0],
  ])('%s', (_, labels, errors, expected) => {
    expect(counts(answer(total('', [0, 10], labels)), 'v2', errors)).toEqual([[[10, expected]]]);
  });

  it('what the proxy answered itself, who chose a version, and what came to none are left out', () => {
    const kept = total('200', [0, 10]);
    const others = [
      total('503', [0, 5], { response_flags: 'UO' }),
      total('200', [0, 5], { davy_cohort: 'header' }),
      total('503', [0, 5], { destination_version: 'unknown', pod: 'unknown' }),
    ];
    const ticks = parse(answer(kept, ...others));
    expect(Object.keys(ticks[0]!.versions)).toEqual(['v2']);
    expect(ticks[0]!.versions.v2).toMatchObject([{ requests: 10, errors: 0 }]);
  });
});

it('the counters of several services: only those of the one that is asked for', () => {
  const of = (name: string) => total('200', [0, 10], { destination_service_name: name });
  expect(counts(answer(of('shop'), of('cart')))).toEqual([[[10, 0]]]);
});

const steady: Samples = [0, 10, 20];
const shifted = {
  metric: total('200', []).metric,
  values: [
    [7, '0'],
    [37, '5'],
    [67, '9'],
  ],
};

describe('what would be counted wrongly is refused', () => {
  it.each<[string, object[], RegExp]>([
    [
      'sums, which have no name',
      [{ metric: { destination_version: 'v2' }, values: [[0, '1']] }],
      /sum\(\) or rate\(\)/,
    ],
    [
      'other metrics',
      [total('200', steady, { __name__: 'http_requests_total' })],
      /no series of istio_requests_total; it has http_requests_total/,
    ],
    [
      'both reporters',
      [total('200', steady, { reporter: 'source' }), total('200', steady, { reporter: 'destination' })],
      /count twice/,
    ],
    [
      'a series without a version',
      [total('200', steady), one({ response_code: '200' }, steady)],
      /neither destination_version nor version/,
    ],
    [
      'other services only',
      [
        total('200', steady, { destination_service_name: 'a' }),
        total('200', steady, { destination_service_name: 'b' }),
      ],
      /several services \(a, b\), and none of them is shop/,
    ],
    [
      'a histogram without its end',
      [total('200', steady), bucket('5', steady)],
      /v2-a of v2 has no istio_request_duration_milliseconds_bucket with le="\+Inf"/,
    ],
    [
      'an instance without latencies beside one with',
      [total('200', steady), bucket('5', steady), bucket('+Inf', steady), total('200', steady, { pod: 'v2-b' })],
      /v2-b of v2 has no/,
    ],
    [
      'answers at different times',
      [total('200', steady), { ...shifted, metric: { ...shifted.metric, pod: 'v2-b' } }],
      /different times/,
    ],
    ['two values at one time', [total('200', steady), total('200', [1, 10, 20])], /two values at 0 s: 0 and 1/],
  ])('%s', (_, result, says) => {
    expect(() => parse(answer(...result))).toThrow(says);
  });
});

it('edges are the same however they are written', () => {
  const other = { pod: 'v2-b' };
  const ticks = parse(
    answer(
      ...[total('200', steady), bucket('5', [0, 8, 16]), bucket('+Inf', steady)],
      ...[total('200', steady, other), bucket('5.0', [0, 4, 8], other), bucket('+Inf', steady, other)],
    ),
  );
  expect(ticks[1]!.edges).toEqual([5]);
  expect(ticks[1]!.versions.v2!.map(({ over }) => over)).toEqual([[2], [6]]);
});

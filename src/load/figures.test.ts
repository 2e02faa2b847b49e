import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  createLatencyHistogram,
  decodeHistogram,
  encodeHistogram,
  type LatencyHistogram,
  latencyFigures,
  minimumSamples,
  type QuantileName,
  quantileRanks,
  recordMs,
} from './figures.ts';

test('the confidence interval of the S4 baseline: 1,815 requests', () => {
  const [low95, high95] = quantileRanks(1_815, 0.95);
  expect(low95 / 1_815).toBeCloseTo(0.94, 3);
  expect(high95 / 1_815).toBeCloseTo(0.96, 3);
  const [low99, high99] = quantileRanks(1_815, 0.99);
  // The 10th to 27th largest sample.
  expect(1_815 - high99).toBeCloseTo(9.84, 1);
  expect(1_815 - low99).toBeCloseTo(26.46, 1);
});

test('a quantile needs twenty samples beyond it', () => {
  expect([0.5, 0.95, 0.99, 0.999].map(minimumSamples)).toEqual([40, 400, 2_000, 20_000]);
});

test('figures are what was recorded, to three digits, and survive encoding', () => {
  const histogram = createLatencyHistogram();
  for (let i = 1; i <= 1_000; i++) recordMs(histogram, i);
  const figures = latencyFigures(histogram);
  expect(figures.count).toBe(1_000);
  expect(figures.meanMs).toBeGreaterThan(499);
  expect(figures.meanMs).toBeLessThan(502);
  expect(figures.quantiles.p50.ms).toBeGreaterThanOrEqual(500);
  expect(figures.quantiles.p50.ms).toBeLessThan(500.6);
  expect(figures.quantiles.p95).toMatchObject({ enough: true });
  expect(figures.quantiles.p95.lowMs).toBeLessThan(938);
  expect(figures.quantiles.p95.highMs).toBeGreaterThan(962);
  expect(figures.quantiles.p99.enough).toBe(false);
  const decoded = latencyFigures(decodeHistogram(encodeHistogram(histogram)));
  expect(decoded).toMatchObject({ count: 1_000, quantiles: figures.quantiles });
});

test('nothing recorded is no number', () => {
  const figures = latencyFigures(createLatencyHistogram());
  expect(figures).toMatchObject({ count: 0, minMs: null, meanMs: null, maxMs: null });
  expect(figures.quantiles.p50).toEqual({ ms: null, lowMs: null, highMs: null, enough: false, sound: true });
});

test('values beyond the range are kept at its ends', () => {
  const histogram = createLatencyHistogram();
  recordMs(histogram, -1);
  recordMs(histogram, 1e9);
  expect(latencyFigures(histogram)).toMatchObject({ count: 2, minMs: 0 });
});

function histogramOf(values: readonly number[]): LatencyHistogram {
  const histogram = createLatencyHistogram();
  for (const ms of values) recordMs(histogram, ms);
  return histogram;
}

interface Request {
  lagMs: number;
  /** From the intended send time to the reading of the answer. */
  responseMs: number;
}

function figuresOf(requests: readonly Request[]) {
  const lag = histogramOf(requests.map((one) => one.lagMs));
  const punctual = histogramOf(requests.map((one) => one.responseMs - one.lagMs));
  return latencyFigures(histogramOf(requests.map((one) => one.responseMs)), { lag, punctual });
}

function soundOf(requests: readonly Request[]): QuantileName[] {
  const { quantiles } = figuresOf(requests);
  return (Object.keys(quantiles) as QuantileName[]).filter((name) => quantiles[name].sound);
}

const times = <T>(count: number, value: T): T[] => new Array<T>(count).fill(value);
const prompt = (responseMs: number): Request => ({ lagMs: 0.1, responseMs });
const hundred = Array.from({ length: 100 }, (_, i) => prompt(i + 1));
const all: QuantileName[] = ['p50', 'p75', 'p90', 'p95', 'p99', 'p999'];
const stalled: Request = { lagMs: 200, responseMs: 202 };

test.each<[string, Request[], QuantileName[]]>([
  ['a punctual generator spoils nothing', hundred, all],
  [
    'one late send of 100, and the answer that was read late with it, spoil the tail',
    [...times(98, prompt(2)), stalled, prompt(202)],
    ['p50', 'p75', 'p90', 'p95'],
  ],
  [
    'one late send where the slow ones are as slow as others',
    [...hundred.slice(0, 99), { lagMs: 5, responseMs: 105 }],
    all,
  ],
  ['a lag as long as the latency itself', times(100, { lagMs: 10, responseMs: 11 }), []],
  ['the same lag beside a latency of a second', times(100, { lagMs: 10, responseMs: 1_000 }), all],
  ['less than a millisecond, however short the latency', times(100, { lagMs: 0.4, responseMs: 0.5 }), all],
])('%s', (_, requests, expected) => {
  expect(soundOf(requests)).toEqual(expected);
});

test('what lateness added is never more than the interval says', () => {
  const anyMs = fc.double({ min: 0.5, max: 500, noNaN: true });
  const anyLag = fc.oneof(fc.constant(0), fc.double({ min: 0, max: 300, noNaN: true }));
  fc.assert(
    fc.property(fc.array(fc.tuple(anyMs, anyLag), { minLength: 5, maxLength: 200 }), fc.nat(200), (given, shift) => {
      // Answers are read late as often, and as late, as requests are sent: by the lag of some other one.
      const lagOf = (i: number): number => given[i % given.length]![1];
      const requests = given.map(([ms, lagMs], i) => ({ lagMs, responseMs: ms + lagMs + lagOf(i + shift) }));
      const truth = latencyFigures(histogramOf(given.map(([ms]) => ms)));
      const found = figuresOf(requests);
      const latestMs = Math.max(...requests.map(({ lagMs, responseMs }) => lagMs + responseMs));
      for (const name of all) {
        // Three digits are kept of each, of what is long and late before the difference is taken.
        const roundingMs = 0.01 + 0.001 * latestMs;
        expect(found.quantiles[name].lowMs!).toBeLessThanOrEqual(truth.quantiles[name].ms! * 1.003 + roundingMs);
      }
    }),
  );
});

import { expect, test } from 'vitest';
import {
  createLatencyHistogram,
  decodeHistogram,
  encodeHistogram,
  latencyFigures,
  minimumSamples,
  quantileRanks,
  recordMs,
} from './figures.ts';
import { invalidReasons } from './result.ts';

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

test('nothing recorded gives zeros, not NaN', () => {
  expect(latencyFigures(createLatencyHistogram())).toMatchObject({ count: 0, meanMs: 0, maxMs: 0 });
});

test('values beyond the range are kept at its ends', () => {
  const histogram = createLatencyHistogram();
  recordMs(histogram, -1);
  recordMs(histogram, 1e9);
  expect(latencyFigures(histogram)).toMatchObject({ count: 2, minMs: 0 });
});

const fine = { model: 'open/poisson' as const, lagP99Ms: 1, cpuShare: 0.1, offered: 10_000, dropped: 0 };

test.each([
  ['a sound run', fine, null],
  ['lag', { ...fine, lagP99Ms: 10.5 }, 'own lag p99 10.5 ms is above 10 ms'],
  ['CPU', { ...fine, cpuShare: 0.9 }, 'own CPU 90.0 % of a core is above 80.0 %'],
  ['drops', { ...fine, dropped: 11 }, '0.1 % of the arrivals were dropped'],
  ['ten drops in ten thousand', { ...fine, dropped: 10 }, null],
  ['silence', { ...fine, offered: 0 }, 'nothing was sent'],
  ['a closed run has no schedule to miss', { ...fine, model: 'closed' as const, cpuShare: 1 }, null],
])('validity: %s', (_, run, reason) => {
  const reasons = invalidReasons(run);
  if (reason === null) expect(reasons).toEqual([]);
  else expect(reasons.join()).toContain(reason);
});

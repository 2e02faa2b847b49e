import { expect, test } from 'vitest';
import { proposeThreshold } from './thresholds.ts';

/** The S4 baseline: one k6 run, p95 11.58 ms (SLA 500 ms), p99 39.17 ms (SLA 1,000 ms), 7.47 requests per second. */
const s4 = { p95: 11.58, p99: 39.17, rate: 7.47 };

test('the S4 baseline: p95 pages at 100 ms, p99 at 250 ms', () => {
  const p95 = proposeThreshold({ name: 'p95', quantile: 0.95, runsMs: [s4.p95], p99Ms: s4.p99, sloMs: 500 }, s4.rate);
  expect(p95).toMatchObject({ warnMs: 25, pageMs: 100, holdMs: 300_000, sloWithinNoise: false });
  expect(p95.pageMs / s4.p95).toBeCloseTo(8.6, 1);
  expect(p95.expression.page).toBe('1 - bucket{le="0.1"} / count > 0.05');
  const p99 = proposeThreshold({ name: 'p99', quantile: 0.99, runsMs: [s4.p99], p99Ms: s4.p99, sloMs: 1_000 }, s4.rate);
  expect(p99).toMatchObject({ warnMs: 100, pageMs: 250, holdMs: 300_000, sloWithinNoise: false });
});

test('a spread between runs widens the limits', () => {
  const runsMs = [10, 20, 60];
  const wide = proposeThreshold({ name: 'p95', quantile: 0.95, runsMs, p99Ms: 30, sloMs: 2_000 }, 100);
  // Median 20, MAD 10: sigma 14.8, so warn needs 64.5 and page 109.
  expect(wide.sigmaMs).toBeCloseTo(14.826);
  expect(wide).toMatchObject({ warnMs: 75, pageMs: 250 });
});

test('a limit that the promise caps is reported as noise, not silenced', () => {
  const tight = proposeThreshold({ name: 'p95', quantile: 0.95, runsMs: [80], p99Ms: 90, sloMs: 200 }, 100);
  expect(tight).toMatchObject({ warnMs: 160, pageMs: 160, sloWithinNoise: true });
});

test('little traffic makes the hold longer: 2,000 requests for a p99', () => {
  const slow = proposeThreshold({ name: 'p99', quantile: 0.99, runsMs: [10], p99Ms: 10, sloMs: 1_000 }, 1);
  expect(slow.holdMs).toBe(2_000_000);
});

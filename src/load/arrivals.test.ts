import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../lib/seeded-random.ts';
import { createArrivals, createPick, expectedIn } from './arrivals.ts';
import type { LoadStage } from './plan.ts';

function all(next: () => number | null): number[] {
  const times: number[] = [];
  for (let at = next(); at !== null; at = next()) times.push(at);
  return times;
}

const steady = (perSecond: number, durationMs: number): LoadStage => ({
  fromPerSecond: perSecond,
  toPerSecond: perSecond,
  durationMs,
});

const anyStage = fc.record({
  fromPerSecond: fc.integer({ min: 0, max: 500 }),
  toPerSecond: fc.integer({ min: 0, max: 500 }),
  durationMs: fc.integer({ min: 1, max: 5_000 }),
});

test('uniform arrivals keep the exact interval', () => {
  expect(all(createArrivals('uniform', [steady(10, 500)], seededRandom(1)))).toEqual([100, 200, 300, 400]);
});

test('a uniform ramp follows the integral of the rate', () => {
  // 0 to 100/s in 1 s: the count after t seconds is 50 t², so number 8 arrives at 400 ms.
  const times = all(
    createArrivals('uniform', [{ fromPerSecond: 0, toPerSecond: 100, durationMs: 1_000 }], seededRandom(1)),
  );
  expect(times[7]).toBeCloseTo(400, 9);
  expect(times).toHaveLength(49);
});

test('arrivals rise, stay inside the schedule, and uniform ones are as many as the area under the rate', () => {
  const plans = fc.array(anyStage, { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(plans, fc.constantFrom('uniform' as const, 'poisson' as const), fc.nat(), (stages, kind, seed) => {
      const times = all(createArrivals(kind, stages, seededRandom(seed)));
      const endMs = stages.reduce((sum, stage) => sum + stage.durationMs, 0);
      for (let i = 0; i < times.length; i++) {
        expect(times[i]).toBeGreaterThanOrEqual(times[i - 1] ?? 0);
        expect(times[i]).toBeLessThanOrEqual(endMs);
      }
      const expected = stages.reduce((sum, stage) => sum + expectedIn(stage), 0);
      if (kind === 'uniform') expect(Math.abs(times.length - expected)).toBeLessThanOrEqual(1 + 1e-6);
    }),
  );
});

test('Poisson arrivals have the variance of their mean, and the same seed gives the same run', () => {
  const times = all(createArrivals('poisson', [steady(1_000, 100_000)], seededRandom(42)));
  expect(times).toEqual(all(createArrivals('poisson', [steady(1_000, 100_000)], seededRandom(42))));
  // 100,000 expected; five standard deviations are 1,581.
  expect(Math.abs(times.length - 100_000)).toBeLessThan(1_581);
  const perTenth = new Array<number>(1_000).fill(0);
  for (const at of times) perTenth[Math.floor(at / 100)]!++;
  const mean = times.length / 1_000;
  const variance = perTenth.reduce((sum, n) => sum + (n - mean) ** 2, 0) / 999;
  // The index of dispersion of 1,000 Poisson counts has a standard error of sqrt(2/999) = 0.045.
  expect(variance / mean).toBeGreaterThan(0.77);
  expect(variance / mean).toBeLessThan(1.23);
});

test('the mix follows its weights', () => {
  const pick = createPick([8, 1, 1], seededRandom(7));
  const counts = [0, 0, 0];
  for (let i = 0; i < 10_000; i++) counts[pick()]!++;
  expect(Math.abs(counts[0]! - 8_000)).toBeLessThan(200);
  expect(Math.abs(counts[1]! - 1_000)).toBeLessThan(150);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ejectionCap, isIn, newOutlier, noteOutcome } from './ejection.ts';
import { RetryBudget } from './retry-budget.ts';
import { Splitter } from './splitter.ts';

describe('ejection on a simulated clock', () => {
  const spec = { consecutive5xx: 5, forMs: 30_000 };
  const context = (nowMs: number, othersOut = 0, random = 0) => ({ count: 3, othersOut, nowMs, random });

  it('takes five failures in a row, not four and a success', () => {
    const outlier = newOutlier();
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 4; i++) expect(noteOutcome(outlier, true, spec, context(round))).toBe(false);
      noteOutcome(outlier, false, spec, context(round));
    }
    for (let i = 0; i < 4; i++) expect(noteOutcome(outlier, true, spec, context(0))).toBe(false);
    expect(noteOutcome(outlier, true, spec, context(0))).toBe(true);
  });

  it('lasts forMs times the number of ejections, with at most 10 % more, up to 300 s', () => {
    const outlier = newOutlier();
    let nowMs = 0;
    for (const [times, random] of [
      [1, 0],
      [2, 1],
      [3, 0.5],
      [10, 0],
    ] as const) {
      while (outlier.ejections < times) {
        for (let i = 0; i < 5; i++) noteOutcome(outlier, true, spec, context(nowMs, 0, random));
        if (outlier.ejections < times) nowMs = outlier.ejectedUntilMs;
        isIn(outlier, nowMs);
      }
      expect(outlier.ejectedUntilMs - nowMs).toBeCloseTo(Math.min(300_000, 30_000 * times) * (1 + 0.1 * random), 3);
      expect(isIn(outlier, outlier.ejectedUntilMs - 1)).toBe(false);
      nowMs = outlier.ejectedUntilMs;
      expect(isIn(outlier, nowMs)).toBe(true);
    }
  });

  it('forgets one ejection for each healthy period', () => {
    const outlier = newOutlier();
    for (let i = 0; i < 5; i++) noteOutcome(outlier, true, spec, context(0));
    isIn(outlier, 30_000);
    for (let i = 0; i < 5; i++) noteOutcome(outlier, true, spec, context(70_000));
    expect(outlier.ejections).toBe(1);
  });

  it.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
    [10, 5],
  ])('of %i instances at most %i are out, and one always stays', (count, cap) => {
    expect(ejectionCap(count)).toBe(cap);
    const outlier = newOutlier();
    for (let i = 0; i < 50; i++) noteOutcome(outlier, true, spec, { count, othersOut: cap, nowMs: 0, random: 0 });
    expect(isIn(outlier, 0)).toBe(true);
  });
});

describe('the retry budget', () => {
  it('L01: always lets three through, and 20 % of many', () => {
    const budget = new RetryBudget();
    budget.activeRetries = 2;
    expect(budget.allows(0.2)).toBe(true);
    budget.activeRetries = 3;
    expect(budget.allows(0.2)).toBe(false);
    budget.activeRequests = 100;
    budget.activeRetries = 19;
    expect(budget.allows(0.2)).toBe(true);
    budget.activeRetries = 20;
    expect(budget.allows(0.2)).toBe(false);
  });
});

describe('the split', () => {
  it('is smooth: within a few of n·w over any stretch, from any phase', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 10_000 }),
        fc.nat(2 ** 32 - 1),
        fc.integer({ min: 10, max: 3000 }),
        (weightBp, phase, count) => {
          const splitter = new Splitter(phase);
          let chosen = 0;
          for (let i = 0; i < count; i++) if (splitter.choosesCanary(weightBp)) chosen++;
          expect(Math.abs(chosen - (count * weightBp) / 10_000)).toBeLessThan(2 + Math.log2(count));
        },
      ),
    );
  });

  it('does not lock onto a periodic pattern of requests', () => {
    for (const period of [2, 3, 4, 5, 8, 10, 13, 16, 21]) {
      const splitter = new Splitter(7);
      const perSlot = new Array<number>(period).fill(0);
      const rounds = 4000;
      for (let i = 0; i < rounds * period; i++) if (splitter.choosesCanary(1000)) perSlot[i % period]!++;
      for (const count of perSlot) expect(Math.abs(count / rounds - 0.1)).toBeLessThan(0.01);
    }
  });

  it('is all or nothing at the ends', () => {
    const splitter = new Splitter(1);
    for (let i = 0; i < 10_000; i++) {
      expect(splitter.choosesCanary(0)).toBe(false);
      expect(splitter.choosesCanary(10_000)).toBe(true);
    }
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { quantileMs } from './quantile.ts';

describe('quantiles of counts over edges', () => {
  it.each([
    { edges: [10, 20, 50], over: [50, 10, 0], requests: 100, quantile: 0.5, expected: 10 },
    { edges: [10, 20, 50], over: [50, 10, 0], requests: 100, quantile: 0.7, expected: 15 },
    { edges: [10, 20, 50], over: [50, 10, 0], requests: 100, quantile: 0.95, expected: 35 },
    { edges: [10, 20], over: [100, 100], requests: 100, quantile: 0.5, expected: 20 },
    { edges: [10], over: [0], requests: 0, quantile: 0.5, expected: null },
    { edges: [], over: [], requests: 5, quantile: 0.5, expected: null },
  ])('of $over beyond $edges the $quantile quantile is $expected', ({ edges, over, requests, quantile, expected }) => {
    expect(quantileMs(edges, over, requests, quantile)).toBe(expected);
  });

  it('rises with the quantile and stays within the edges', () => {
    const counts = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(counts, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (bins, q) => {
        const requests = bins.reduce((a, b) => a + b, 0);
        fc.pre(requests > 0);
        const over = [1, 2, 3].map((n) => bins.slice(n).reduce((a, b) => a + b, 0));
        const at = (quantile: number): number => quantileMs([10, 20, 40], over, requests, quantile) ?? Number.NaN;
        expect(at(q)).toBeGreaterThanOrEqual(0);
        expect(at(q)).toBeLessThanOrEqual(40);
        expect(at(Math.min(1, q + 0.005))).toBeGreaterThanOrEqual(at(q));
      }),
    );
  });
});

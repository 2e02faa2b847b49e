import { describe, expect, it } from 'vitest';
import { RATE_PSI } from './kernel.ts';
import { newMixture } from './mixture.ts';
import { stepLoad, stepSplit, stepThroughput } from './split-tests.ts';

/** P(x of n) for every x. */
function binomial(n: number, p: number): number[] {
  const out = [(1 - p) ** n];
  for (let x = 1; x <= n; x++) out.push((out[x - 1]! * (n - x + 1) * p) / (x * (1 - p)));
  return out;
}

/** The mean of a test's evidence over every split of `n` requests that reach the canary with probability `share`. */
function expectation(
  n: number,
  share: number,
  step: (m: ReturnType<typeof newMixture>, nc: number, ns: number) => void,
): number {
  return binomial(n, share).reduce((sum, probability, nc) => {
    const m = newMixture(2 * RATE_PSI.length);
    m.s.fill(1);
    step(m, nc, n - nc);
    return sum + (probability * m.s.reduce((a, b) => a + b, 0)) / m.s.length;
  }, 0);
}

describe('split and throughput, by exact enumeration', () => {
  it.each([0.01, 0.1, 0.25, 0.5, 0.9])('has mean at most 1 for a split within tolerance of %d', (weight) => {
    for (const n of [1, 5, 40]) {
      for (const off of [-1, -0.5, 0, 0.5, 1]) {
        const tolerance = Math.min(0.05, Math.max(0.002, 0.1 * Math.min(weight, 1 - weight)));
        const mean = expectation(n, weight + off * tolerance, (m, nc, ns) => stepSplit(m, nc, ns, weight));
        expect(mean).toBeLessThanOrEqual(1 + 1e-9);
      }
    }
  });

  it('has mean at most 1 for a canary that keeps at least half of its share', () => {
    for (const kept of [0.5, 0.8, 1]) {
      expect(expectation(40, 0.1 * kept, (m, nc, ns) => stepThroughput(m, nc, ns, 0.1, 0.5))).toBeLessThanOrEqual(
        1 + 1e-9,
      );
    }
  });

  it('grows when the canary gets twice its share', () => {
    const m = newMixture(2 * RATE_PSI.length);
    stepSplit(m, 200, 800, 0.1);
    expect(Math.max(...m.s)).toBeGreaterThan(1000);
  });
});

describe('total throughput against its forecast', () => {
  it.each([
    [100, false],
    [85, false],
    [30, true],
  ])('%d of 100 expected', (requests, rises) => {
    const m = newMixture(3);
    for (let i = 0; i < 5; i++) stepLoad(m, requests, 100, 1);
    expect(Math.max(...m.s) > 100).toBe(rises);
  });
});

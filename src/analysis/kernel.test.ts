import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GROSS_PSI, HARM_BETS, LATENCY_PSI, logKernel, RATE_PSI, SAFE_PSI, tunedBet } from './kernel.ts';

/** ln of the binomial probability. */
function logBinomial(n: number, p: number): number[] {
  const out: number[] = [];
  let choose = 0;
  for (let x = 0; x <= n; x++) {
    const logP = x === 0 ? 0 : x * Math.log(p);
    const logQ = x === n ? 0 : (n - x) * Math.log1p(-p);
    out.push(p === 0 ? (x === 0 ? 0 : Number.NEGATIVE_INFINITY) : choose + logP + logQ);
    choose += Math.log((n - x) / (x + 1));
  }
  return out;
}

/** E[e] over every outcome of nc and ns independent requests. */
function expectation(nc: number, ns: number, pc: number, ps: number, ratio: number, plus: number, b: number): number {
  const k = (ratio * nc) / ns;
  const canary = logBinomial(nc, pc);
  const stable = logBinomial(ns, ps);
  let sum = 0;
  for (let xc = 0; xc <= nc; xc++) {
    for (let xs = 0; xs <= ns; xs++) sum += Math.exp(canary[xc]! + stable[xs]! + logKernel(xc, xs, nc, k, plus, b));
  }
  return sum;
}

const ARMS = [
  [1, 1],
  [3, 9],
  [5, 5],
  [10, 2],
  [8, 30],
] as const;
const TOLERANCES = [
  [1, 0],
  [1.1, 1e-4],
  [1.2, 0],
  [1.25, 0.001],
  [1.5, 0.005],
] as const;
const STABLE_RATES = [0, 0.001, 0.01, 0.1, 0.3, 0.6];

describe('the kernel is an e-value, by exact enumeration', () => {
  it('has mean at most 1 at the edge of "no harm", for every bet of every detector', () => {
    let highest = 0;
    for (const [nc, ns] of ARMS) {
      for (const [ratio, plus] of TOLERANCES) {
        for (const ps of STABLE_RATES) {
          const pc = Math.min(1, ratio * ps + plus);
          for (const psi of [...RATE_PSI, ...LATENCY_PSI, ...GROSS_PSI]) {
            for (const guess of [0.0005, 0.05]) {
              const s = (ratio * guess) / (ratio * guess + plus);
              const b = tunedBet(psi, s, (ratio * nc) / ns);
              highest = Math.max(highest, expectation(nc, ns, pc, ps, ratio, plus, b));
            }
          }
        }
      }
    }
    expect(highest).toBeLessThanOrEqual(1 + 1e-12);
    // Not vacuous: where the test has power the mean is close to 1, not far below.
    expect(highest).toBeGreaterThan(0.999);
  });

  it('has mean at most 1 at exactly the margin of "harmful", for every bet of the promotion gates', () => {
    for (const [nc, ns] of ARMS) {
      for (const [ratio, plus] of TOLERANCES) {
        for (const ps of STABLE_RATES) {
          const pc = ratio * ps + plus;
          if (pc > 1) continue;
          const k = (ratio * nc) / ns;
          const shares = [0.0005, 0.05].map((guess) => (ratio * guess) / (ratio * guess + plus));
          const tuned = SAFE_PSI.flatMap((psi) => shares.map((s) => tunedBet(psi, s, k)));
          for (const b of [...tuned, ...HARM_BETS]) {
            expect(expectation(nc, ns, pc, ps, ratio, plus, b)).toBeLessThanOrEqual(1 + 1e-12);
          }
        }
      }
    }
  });

  it('grows when the canary is worse than tolerated', () => {
    const b = tunedBet(3, 0.9, (1.1 * 10) / 90);
    const drift = 10 * 0.3 * Math.log1p(b) + 90 * 0.05 * Math.log1p((-1.1 * 10 * b) / 90) - 10 * 1e-4 * b;
    expect(drift).toBeGreaterThan(0);
  });
});

describe('the kernel over ticks', () => {
  const count = fc.integer({ min: 0, max: 500 });

  it('gives the same evidence for a tick and for its two halves', () => {
    fc.assert(
      fc.property(count, count, count, count, fc.constantFrom(...RATE_PSI), (x1, x2, s1, s2, psi) => {
        const k = 0.12;
        const b = tunedBet(psi, 0.7, k);
        const whole = logKernel(x1 + x2, s1 + s2, 2000, k, 1e-4, b);
        const halves = logKernel(x1, s1, 1000, k, 1e-4, b) + logKernel(x2, s2, 1000, k, 1e-4, b);
        expect(Math.abs(whole - halves)).toBeLessThan(1e-9);
      }),
    );
  });

  it('keeps 1 + b positive for the bets of the promotion gates whatever the traffic', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const load = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(load, share, fc.constantFrom(...SAFE_PSI), (k, s, psi) => {
        const b = tunedBet(psi, s, k);
        expect(b).toBeLessThan(0);
        expect(1 + b).toBeGreaterThan(0);
      }),
    );
  });

  it('keeps 1 - k b positive whatever the traffic', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const load = fc.double({ min: 1e-6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(load, share, fc.constantFrom(...RATE_PSI, ...GROSS_PSI), (k, s, psi) => {
        const b = tunedBet(psi, s, k);
        expect(b).toBeGreaterThan(0);
        expect(1 - k * b).toBeGreaterThan(0);
      }),
    );
  });
});

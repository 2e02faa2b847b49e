import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { requestsForQuantile, requestsToProve, requestsToShow } from './evidence.ts';

const claim = { ratio: 1.25, plusShare: 0.001, rateShare: 0, weightShare: 0.1, confidenceShare: 0.99 };

describe('requestsToProve', () => {
  it('is ln(5/0.01) / (0.85 plus) without errors: only the largest bet matters', () => {
    expect(requestsToProve(claim)).toBe(Math.ceil(Math.log(500) / (0.85 * 0.001)));
    expect(requestsToProve({ ...claim, plusShare: 0.05 })).toBe(147);
  });

  it('agrees with a walk through the evidence itself', () => {
    // The expected log-growth of one bet, summed request by request until the mean over five bets passes 1/alpha.
    const { ratio, plusShare, weightShare } = claim;
    const rateShare = 0.01;
    const k = (ratio * weightShare) / (1 - weightShare);
    const stablePerCanary = (1 - weightShare) / weightShare;
    const logs = [-0.12, -0.25, -0.4, -0.6, -0.85].map(
      (b) => rateShare * Math.log1p(b) + rateShare * stablePerCanary * Math.log1p(-k * b) - plusShare * b,
    );
    let requests = 0;
    while (logs.reduce((sum, growth) => sum + Math.exp(growth * requests), 0) / 5 < 100) requests += 1;
    const estimate = requestsToProve({ ...claim, rateShare });
    expect(estimate).toBeGreaterThanOrEqual(requests);
    expect(estimate).toBeLessThan(requests * 1.3);
  });

  it('falls with the margin and rises with the confidence', () => {
    const share = fc.double({ min: 0.0001, max: 0.2, noNaN: true });
    fc.assert(
      fc.property(share, share, share, (plusShare, rateShare, weightShare) => {
        const base = { ...claim, plusShare, rateShare, weightShare };
        expect(requestsToProve({ ...base, plusShare: plusShare * 2 })).toBeLessThanOrEqual(requestsToProve(base));
        expect(requestsToProve({ ...base, ratio: 2 })).toBeLessThanOrEqual(requestsToProve(base));
        expect(requestsToProve({ ...base, confidenceShare: 0.999 })).toBeGreaterThanOrEqual(requestsToProve(base));
      }),
    );
  });

  it('is endless without a margin', () => {
    expect(requestsToProve({ ...claim, plusShare: 0 })).toBe(Number.POSITIVE_INFINITY);
    expect(requestsToProve({ ...claim, ratio: 1, plusShare: 0, rateShare: 0.05 })).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('rules of thumb', () => {
  it('rule of three: that many good requests leave less than 5 % for a rate at the limit', () => {
    for (const limit of [0.05, 0.01, 0.001, 0.0001]) {
      expect((1 - limit) ** requestsToShow(limit)).toBeLessThan(0.05);
    }
    expect(requestsToShow(0.001)).toBe(3000);
    expect(requestsToShow(1 - 0.95)).toBe(60);
  });

  it('a quantile has 20 requests beyond it', () => {
    expect(requestsForQuantile(0.95)).toBe(400);
    expect(requestsForQuantile(0.9999)).toBe(200_000);
  });
});

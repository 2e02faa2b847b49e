/**
 * How many canary requests a promotion claim takes. The claim "the canary's rate is below ratio × stable's + plus" is tested
 * with bets b < 0; per canary request a bet grows the log of the evidence by
 *
 *   g(b) = L ln(1+b) + (L/r) ln(1 - k b) - plus b,   k = ratio × r,   r = canary requests / stable requests,
 *
 * when both versions truly fail at rate L (test by betting: Waudby-Smith and Ramdas, arXiv 2010.09686, section 4, applied to
 * the totals of an interval). The evidence is the mean over the bets, so the best of them must reach ln(bets / (1 - confidence)).
 */

/** The bets that promotion places. */
const bets = [-0.12, -0.25, -0.4, -0.6, -0.85] as const;

export interface Claim {
  /** Tolerated multiple of stable's rate, and what is tolerated on top (a share). */
  ratio: number;
  plusShare: number;
  /** The rate that both versions are assumed to have. */
  rateShare: number;
  /** Weight of the canary as a share, below 1. */
  weightShare: number;
  confidenceShare: number;
}

/** Canary requests until the claim is expected to be proven; infinite when it never is (no margin at all). */
export function requestsToProve(claim: Claim): number {
  const { ratio, plusShare, rateShare, weightShare, confidenceShare } = claim;
  const perStable = weightShare / (1 - weightShare);
  const growth = bets.map((bet) => {
    const control = rateShare === 0 ? 0 : (rateShare / perStable) * Math.log1p(-ratio * perStable * bet);
    return rateShare * Math.log1p(bet) + control - plusShare * bet;
  });
  const best = Math.max(...growth);
  return best <= 0 ? Number.POSITIVE_INFINITY : Math.ceil(Math.log(bets.length / (1 - confidenceShare)) / best);
}

/**
 * Good requests in a row that show a rate below `limitShare` at 95 %: 3/limit, the rule of three
 * (Hanley and Lippman-Hand, JAMA 249, 1983).
 */
export function requestsToShow(limitShare: number): number {
  return ceilSafely(3 / limitShare);
}

/** Requests for which a quantile is more than its few largest values: 20 beyond it. */
export function requestsForQuantile(quantile: number): number {
  return ceilSafely(20 / (1 - quantile));
}

/** 1 - 0.9999 is not quite 0.0001; what is a whole number but for rounding stays one. */
function ceilSafely(value: number): number {
  return Math.ceil(value * (1 - 1e-9));
}

/**
 * The one likelihood ratio behind every test of the judge.
 *
 * For one tick with `nc` canary requests of which `xc` are events (errors, or requests slower than an edge), `xs` stable
 * events, `k = ratio * nc / ns` and a bet `b` in (-1, 1/k):
 *
 *     e = (1 + b)^xc * (1 - k b)^xs * exp(-nc * plus * b)
 *
 * Requests that succeed or fail independently with arm means Lc, Ls satisfy E(1+b)^xc <= exp(nc Lc b), because
 * 1 + p b <= exp(p b); the same holds for xs. Hence E[e] <= exp(nc b (Lc - ratio Ls - plus)) <= 1 whenever b > 0 and
 * Lc <= ratio Ls + plus, or b < 0 and Lc >= ratio Ls + plus. It needs no base rate, no sample size and no approximation.
 * With ratio 1 and plus 0 it is the likelihood ratio of Lindon & Malek (arXiv 2011.03567) at the realised split.
 */
export function logKernel(xc: number, xs: number, nc: number, k: number, plus: number, b: number): number {
  return xc * Math.log1p(b) + xs * Math.log1p(-k * b) - nc * plus * b;
}

/**
 * The growth-optimal bet when the canary's rate is `psi` times the tolerated one (`psi` < 1: a negative bet). `s` = ratio Ls / (ratio Ls + plus) is a
 * guess from the past: a wrong guess costs power, never validity. Kept below 0.99 / k so that 1 - k b stays positive.
 */
export function tunedBet(psi: number, s: number, k: number): number {
  const m = (1 - s) * k;
  const half = 1 - m + psi * k;
  const root = Math.sqrt(Math.max(0, half * half - 4 * m * (psi - 1)));
  const b = (2 * (psi - 1)) / (half + root);
  return k > 0 ? Math.min(b, 0.99 / k) : b;
}

/** Alternatives for rates: the canary's rate as a multiple of the tolerated one. */
export const RATE_PSI: readonly number[] = [1.4, 2.2, 4, 12];
/** Alternatives for shares above a latency edge. */
export const LATENCY_PSI: readonly number[] = [1.2, 1.5, 2, 4];
/**
 * Alternatives of the promotion gates: the canary's rate as a fraction of the margin, which is what the gate must refute.
 * Tuned to stable's rate and the split, one of these is within a tenth of the best bet at any weight from 1 to 99 %.
 */
export const SAFE_PSI: readonly number[] = [0.88, 0.72, 0.58, 0.42, 0.2];
/** Fixed bets of the published harm bound: one sum serves every margin of its grid, so they cannot be tuned to one. */
export const HARM_BETS: readonly number[] = [-0.005, -0.02, -0.06, -0.12, -0.25, -0.4, -0.6, -0.85];
/** Alternatives for the catastrophe test, whose tolerated rate is a large share. */
export const GROSS_PSI: readonly number[] = [1.1, 1.3, 1.6, 2];

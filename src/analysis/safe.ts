import { SAFE_BETS } from './kernel.ts';

/**
 * Evidence that the harm is smaller than a margin (non-inferiority): the kernel with negative bets against
 * "canary >= ratio * stable + plus", fresh in every step, without restarts. A gate passes at
 * mean(exp(log)) >= 1 / alpha_P, so a release whose harm reaches the margin throughout a step passes with
 * probability at most alpha_P, however often one looks; all gates must pass, hence no correction for their number.
 */
export interface Safe {
  /** Log evidence per bet: errors, then one row per gate edge. */
  errors: number[];
  latency: number[][];
  /** The same with ratio 1 and no margin, and the requests it saw: every margin of the harm bound follows from them. */
  harm: number[];
  harmRequests: number;
}

const EMPTY = SAFE_BETS.map(() => 0);

export function newSafe(): Safe {
  return { errors: EMPTY.slice(), latency: [], harm: EMPTY.slice(), harmRequests: 0 };
}

export function cloneSafe(s: Safe): Safe {
  return {
    errors: s.errors.slice(),
    latency: s.latency.map((row) => row.slice()),
    harm: s.harm.slice(),
    harmRequests: s.harmRequests,
  };
}

/** One look of one gate. `ratio` 0: an absolute margin, stable's counts are not read. */
export function stepGate(
  logs: number[],
  ratio: number,
  plus: number,
  nc: number,
  xc: number,
  ns: number,
  xs: number,
  phi: number,
): void {
  if (nc <= 0 || (ratio > 0 && ns <= 0)) return;
  const k = ratio > 0 ? (ratio * nc) / ns : 0;
  for (let i = 0; i < SAFE_BETS.length; i++) {
    const b = SAFE_BETS[i]!;
    const l = xc * Math.log1p(b) + (k > 0 && xs > 0 ? xs * Math.log1p(-k * b) : 0) - nc * plus * b;
    logs[i] = Math.max(-1e6, logs[i]! + l / phi);
  }
}

/** ln of the gate's evidence: the mean over bets. */
export function logEvidence(logs: readonly number[]): number {
  let top = Number.NEGATIVE_INFINITY;
  for (const l of logs) if (l > top) top = l;
  let sum = 0;
  for (const l of logs) sum += Math.exp(l - top);
  return top + Math.log(sum / logs.length);
}

const HARM_GRID = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02];
const shifted = EMPTY.slice();

/** The smallest margin of excess errors (share) that is refuted at `threshold`, null when none is. */
export function harmBound(s: Safe, threshold: number): number | null {
  const wanted = Math.log(threshold);
  for (const plus of HARM_GRID) {
    for (let i = 0; i < SAFE_BETS.length; i++) shifted[i] = s.harm[i]! - s.harmRequests * plus * SAFE_BETS[i]!;
    if (logEvidence(shifted) >= wanted) return plus;
  }
  return null;
}

/**
 * Canary requests that a gate still needs if both arms fail at `rate` and the canary gets `share` as many requests as
 * stable does (0: no stable traffic). Null: not at this rate, or nothing is needed.
 */
export function requestsNeeded(
  logs: readonly number[],
  threshold: number,
  ratio: number,
  plus: number,
  canaryRate: number,
  stableRate: number,
  canaryPerStable: number,
  phi: number,
): number | null {
  const wanted = Math.log(threshold) + Math.log(SAFE_BETS.length);
  let best: number | null = null;
  for (let i = 0; i < SAFE_BETS.length; i++) {
    const b = SAFE_BETS[i]!;
    const stable =
      ratio > 0 && canaryPerStable > 0 ? (stableRate / canaryPerStable) * Math.log1p(-ratio * canaryPerStable * b) : 0;
    const growth = (canaryRate * Math.log1p(b) + stable - plus * b) / phi;
    if (growth <= 0) continue;
    const need = Math.max(0, wanted - logs[i]!) / growth;
    if (best === null || need < best) best = need;
  }
  return best;
}

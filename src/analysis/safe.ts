import { HARM_BETS, logKernel, SAFE_PSI, tunedBet } from './kernel.ts';

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
  /** The same gates against stable's past, where the step leaves stable too little traffic to compare with. */
  past: { errors: number[]; latency: number[][] };
  /** The same with ratio 1 and no margin, and the requests it saw: every margin of the harm bound follows from them. */
  harm: number[];
  harmRequests: number;
}

const EMPTY = SAFE_PSI.map(() => 0);
const NO_HARM = HARM_BETS.map(() => 0);

export function newSafe(): Safe {
  return {
    errors: EMPTY.slice(),
    latency: [],
    past: { errors: EMPTY.slice(), latency: [] },
    harm: NO_HARM.slice(),
    harmRequests: 0,
  };
}

/** Gates of a step that begins. */
export function freshSafe(gates: number): Safe {
  const rows = (): number[][] => Array.from({ length: gates }, () => EMPTY.slice());
  return { ...newSafe(), latency: rows(), past: { errors: EMPTY.slice(), latency: rows() } };
}

export function cloneSafe(s: Safe): Safe {
  return {
    errors: s.errors.slice(),
    latency: s.latency.map((row) => row.slice()),
    past: { errors: s.past.errors.slice(), latency: s.past.latency.map((row) => row.slice()) },
    harm: s.harm.slice(),
    harmRequests: s.harmRequests,
  };
}

/** A margin to refute: `ratio` times stable's rate plus `plus`. `ratio` 0: an absolute margin, stable's counts are not read. */
export interface Margin {
  ratio: number;
  plus: number;
  /** A guess of stable's rate from the past; only tunes the bets. */
  guess: number;
  phi: number;
}

/** The bet of alternative `psi` for `nc` canary requests beside `ns` of stable's. */
function betOf(psi: number, { ratio, plus, guess }: Margin, k: number): number {
  const tolerated = ratio * guess + plus;
  return tunedBet(psi, tolerated > 0 ? (ratio * guess) / tolerated : 1, k);
}

/** One look of one gate. */
export function stepGate(logs: number[], margin: Margin, nc: number, xc: number, ns: number, xs: number): void {
  const { ratio, plus, phi } = margin;
  if (nc <= 0 || (ratio > 0 && ns <= 0)) return;
  const k = ratio > 0 ? (ratio * nc) / ns : 0;
  for (let i = 0; i < SAFE_PSI.length; i++) {
    const b = betOf(SAFE_PSI[i]!, margin, k);
    logs[i] = Math.max(-1e6, logs[i]! + logKernel(xc, k > 0 ? xs : 0, nc, k, plus, b) / phi);
  }
}

/** One look of the harm bound: stable's own rate (`ratio` 1), or a known upper bound of it (`ratio` 0, `plus`), without a margin. */
export function stepHarm(
  s: Safe,
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
  HARM_BETS.forEach((b, i) => {
    s.harm[i] = Math.max(-1e6, s.harm[i]! + logKernel(xc, k > 0 ? xs : 0, nc, k, plus, b) / phi);
  });
  s.harmRequests += nc / phi;
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
const shifted = NO_HARM.slice();

/** The smallest margin of excess errors (share) that is refuted at `threshold`, null when none is. */
export function harmBound(s: Safe, threshold: number): number | null {
  const wanted = Math.log(threshold);
  for (const plus of HARM_GRID) {
    HARM_BETS.forEach((b, i) => {
      shifted[i] = s.harm[i]! - s.harmRequests * plus * b;
    });
    if (logEvidence(shifted) >= wanted) return plus;
  }
  return null;
}

/**
 * Canary requests that a gate still needs if the arms fail at these rates and the canary gets `canaryPerStable` as many
 * requests as stable does (0: no stable traffic). Null: never at these rates.
 */
export function requestsNeeded(
  logs: readonly number[],
  threshold: number,
  margin: Margin,
  rates: { canary: number; stable: number; canaryPerStable: number },
): number | null {
  const { ratio, plus, phi } = margin;
  const wanted = Math.log(threshold) + Math.log(SAFE_PSI.length);
  const k = ratio > 0 ? ratio * rates.canaryPerStable : 0;
  let best: number | null = null;
  for (let i = 0; i < SAFE_PSI.length; i++) {
    const b = betOf(SAFE_PSI[i]!, margin, k);
    const stable = k > 0 ? (rates.stable / rates.canaryPerStable) * Math.log1p(-k * b) : 0;
    const growth = (rates.canary * Math.log1p(b) + stable - plus * b) / phi;
    if (growth <= 0) continue;
    const need = Math.max(0, wanted - logs[i]!) / growth;
    if (best === null || need < best) best = need;
  }
  return best;
}

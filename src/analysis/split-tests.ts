import { RATE_PSI } from './kernel.ts';
import { type Mixture, multiply } from './mixture.ts';

/**
 * The split: each request goes to the canary with probability `weight`, so the counts are binomial and the likelihood
 * ratio is exact: nc ln(a / q) + ns ln((1 - a) / (1 - q)) against share <= q (a > q) or share >= q (a < q).
 */
function stepShare(m: Mixture, from: number, nc: number, ns: number, q: number, upper: boolean): void {
  for (let i = 0; i < RATE_PSI.length; i++) {
    const odds = upper ? RATE_PSI[i]! : 1 / RATE_PSI[i]!;
    const a = (odds * q) / (1 - q + odds * q);
    multiply(m, from + i, nc * Math.log(a / q) + ns * Math.log((1 - a) / (1 - q)));
  }
}

/** Tolerated distance of the real share from the weight: a tenth of it, at least 0.2 and at most 5 points. */
function splitTolerance(weight: number): number {
  return Math.min(0.05, Math.max(0.002, 0.1 * Math.min(weight, 1 - weight)));
}

/** Both sides in one test: the share lies above weight + tolerance, or below weight - tolerance. */
export function stepSplit(m: Mixture, nc: number, ns: number, weight: number): void {
  const tolerance = splitTolerance(weight);
  if (weight + tolerance < 1) stepShare(m, 0, nc, ns, weight + tolerance, true);
  if (weight - tolerance > 0) stepShare(m, RATE_PSI.length, nc, ns, weight - tolerance, false);
}

/** The canary's throughput: its share has collapsed below `keep` of the weight, whatever the load does. */
export function stepThroughput(m: Mixture, nc: number, ns: number, weight: number, keep: number): void {
  stepShare(m, 0, nc, ns, weight * keep, false);
}

const LOAD_BETS = [-0.2, -0.5, -0.8];
/** Total throughput below this share of its forecast is worth a hold. */
const TOLERATED_LOAD = 0.8;

/** Total throughput against a forecast (Poisson kernel): advisory, it has no control arm. */
export function stepLoad(m: Mixture, requests: number, forecast: number, phi: number): void {
  for (let i = 0; i < LOAD_BETS.length; i++) {
    const b = LOAD_BETS[i]!;
    multiply(m, i, (requests * Math.log1p(b) - TOLERATED_LOAD * forecast * b) / phi);
  }
}

import { type Arm, addArm, cloneArm, emptyArm, eventsOf, requestsOf } from './arms.ts';

/**
 * How much instances of one version differ for good: the node that is slower, the cache that is colder. Such differences are
 * part of the hypothesis that the canary is harmless, because nothing in its counts tells a slow node from a slow version.
 * Learnt from blocks of stable's instances: the variance of the logarithm of their rates, less what chance adds.
 */
export interface Spread {
  blockMs: number;
  /** The running block, by stable's instances in the order of their names. */
  each: Arm[];
  /** Instances of the last finished block. */
  instances: number;
  /** Fading weights and weighted variances, for errors and then for each edge. */
  weights: number[];
  variances: number[];
}

const BLOCK_MS = 600_000;
/** The first block is short, so that a release without history learns before its first step ends. */
const FIRST_BLOCK_MS = 120_000;
const MEAN_AGE_MS = 24 * 3_600_000;
const MAX_INSTANCES = 32;
/**
 * What instances differ by before anything was seen: standard deviation of ln(rate), worth so many degrees of freedom. A
 * node that is 2 % slower has a tenth more requests above a tail edge; failures differ less for good.
 */
const PRIOR_SD = { errors: 0.03, latency: 0.06 };
/** One canary instance may be on the slowest node there is: nothing averages it out. */
const LONE_PRIOR_SD = { errors: 0.05, latency: 0.2 };
const PRIOR_WEIGHT = 4;
/** Standard normal quantile of 0.995. */
const Z = 2.5758;

export function newSpread(edges: number, before?: SpreadHistory): Spread {
  const known = before !== undefined && before.weights.length === edges + 1;
  const zeros = (): number[] => new Array<number>(edges + 1).fill(0);
  return {
    blockMs: 0,
    each: [],
    instances: known ? before.instances : 0,
    weights: known ? before.weights.slice() : zeros(),
    variances: known ? before.variances.slice() : zeros(),
  };
}

/** What an earlier hour taught. */
export interface SpreadHistory {
  instances: number;
  weights: number[];
  variances: number[];
}

export function cloneSpread(s: Spread): Spread {
  return {
    ...s,
    each: s.each.map(cloneArm),
    weights: s.weights.slice(),
    variances: s.variances.slice(),
  };
}

export function learnSpread(s: Spread, each: readonly Arm[], dtMs: number): void {
  if (each.length < 2 || each.length > MAX_INSTANCES) return;
  if (each.length !== s.each.length) {
    s.each = each.map((arm) => emptyArm(arm.over.length));
    s.blockMs = 0;
  }
  each.forEach((arm, i) => {
    addArm(s.each[i]!, arm);
  });
  s.blockMs += dtMs;
  if (s.blockMs < (s.instances === 0 ? FIRST_BLOCK_MS : BLOCK_MS)) return;
  endBlock(s);
}

function endBlock(s: Spread): void {
  const keep = Math.exp(-s.blockMs / MEAN_AGE_MS);
  for (let m = 0; m < s.weights.length; m++) {
    const found = betweenInstances(s.each, m - 1);
    s.weights[m] = s.weights[m]! * keep + found.weight;
    s.variances[m] = s.variances[m]! * keep + found.weight * found.variance;
  }
  s.instances = s.each.length;
  s.blockMs = 0;
  s.each = s.each.map((arm) => emptyArm(arm.over.length));
}

/**
 * Variance of the instances' relative rates beyond chance (method of moments), and how much the block says about it: its
 * degrees of freedom, less where chance is larger than what instances usually differ by.
 */
function betweenInstances(each: readonly Arm[], edge: number): { variance: number; weight: number } {
  let n = 0;
  let total = 0;
  let squares = 0;
  for (const arm of each) {
    const requests = requestsOf(arm, edge);
    n += requests;
    total += eventsOf(arm, edge);
    squares += requests * requests;
  }
  if (total <= 0 || n <= 0) return { variance: 0, weight: 0 };
  const rate = total / n;
  let off = 0;
  let chance = 0;
  for (const arm of each) {
    const requests = requestsOf(arm, edge);
    const d = eventsOf(arm, edge) - requests * rate;
    off += d * d;
    chance += requests * rate * (1 - rate) * (1 - requests / n);
  }
  const scale = rate * rate * (squares - squares / each.length);
  if (scale <= 0) return { variance: 0, weight: 0 };
  const sampling = chance / scale;
  const prior = priorVariance(edge, PRIOR_SD);
  const precision = prior / (prior + sampling);
  return { variance: (off - chance) / scale, weight: (each.length - 1) * precision * precision };
}

/**
 * By what factor the rate of `canaries` instances may exceed that of `stables` only because instances differ: the upper
 * 99.5 % point of Student's distribution, since the spread itself is an estimate. `edge` -1: errors.
 */
export function toleratedFactor(s: Spread, edge: number, canaries: number, stables: number): number {
  const freedom = Math.max(0, s.instances - 1);
  const weight = s.weights[edge + 1] ?? 0;
  const counted = Math.min(freedom, weight);
  const prior = canaries > 1 ? priorVariance(edge, PRIOR_SD) : priorVariance(edge, LONE_PRIOR_SD);
  const learnt = weight > 0 ? s.variances[edge + 1]! / weight : 0;
  const variance = (PRIOR_WEIGHT * prior + counted * Math.max(0, learnt)) / (PRIOR_WEIGHT + counted);
  const factor = 1 / Math.max(1, canaries) + 1 / Math.max(1, stables);
  return Math.exp(student(PRIOR_WEIGHT + counted) * Math.sqrt(Math.max(0, variance) * factor));
}

function priorVariance(edge: number, sd: typeof PRIOR_SD): number {
  return (edge < 0 ? sd.errors : sd.latency) ** 2;
}

/** The 0.995 quantile of Student's t: Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5), within 2 % from four degrees on. */
function student(freedom: number): number {
  const first = (Z ** 3 + Z) / (4 * freedom);
  const second = (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * freedom * freedom);
  return Z + first + second;
}

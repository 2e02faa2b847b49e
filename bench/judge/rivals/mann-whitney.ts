/**
 * Kayenta's Mann-Whitney classifier (spinnaker/kayenta, MannWhitneyClassifier and MannWhitney), from its documented
 * behaviour: the confidence interval of the Hodges-Lehmann shift by root finding on the normal score of the rank sum with
 * mid-ranks, tie and continuity correction, after R's wilcox.test. Roots are bisected instead of solved by Brent's method,
 * on the same step function and to a finer tolerance.
 */
export interface Shift {
  low: number;
  high: number;
  estimate: number;
}

export type Direction = 'increase' | 'decrease' | 'either';
export type Classification = 'pass' | 'high' | 'low' | 'nodata';

/** Normal quantiles for the confidence levels in use: 1 - alpha / 2. */
const QUANTILES: Record<string, number> = { '0.95': 1.959963984540054, '0.98': 2.3263478740408408 };
const TOLERANCE = 1e-7;

/** Both samples must be sorted ascending. */
export function shiftOf(experiment: readonly number[], control: readonly number[], confidence: 0.95 | 0.98): Shift {
  const z = QUANTILES[String(confidence)]!;
  const low = experiment[0]! - control[control.length - 1]!;
  const high = experiment[experiment.length - 1]! - control[0]!;
  const root = (quantile: number): number => {
    if (score(experiment, control, low) - quantile <= 0) return low;
    if (score(experiment, control, high) - quantile >= 0) return high;
    let from = low;
    let to = high;
    while (to - from > TOLERANCE) {
      const middle = (from + to) / 2;
      const value = score(experiment, control, middle) - quantile;
      // On a level part of the steps its middle, as a solver that meets zero exactly stops there.
      if (value === 0) return levelMiddle(experiment, control, quantile, from, middle, to);
      if (value > 0) from = middle;
      else to = middle;
    }
    return (from + to) / 2;
  };
  return { low: snapped(root(z)), high: snapped(root(-z)), estimate: snapped(root(0)) };
}

/** Where the steps jump at exactly 0 (sparse errors: most minutes tie at none) the root is 0, not the solver's last digit. */
function snapped(root: number): number {
  return Math.abs(root) < 1e-5 ? 0 : root;
}

function levelMiddle(
  x: readonly number[],
  y: readonly number[],
  quantile: number,
  low: number,
  at: number,
  high: number,
): number {
  const edge = (inside: number, outside: number): number => {
    let a = inside;
    let b = outside;
    while (Math.abs(b - a) > TOLERANCE) {
      const middle = (a + b) / 2;
      if (score(x, y, middle) === quantile) a = middle;
      else b = middle;
    }
    return a;
  };
  return (edge(at, low) + edge(at, high)) / 2;
}

/** Normal score of the rank sum of x - mu against y: (W - n m / 2 - 0.5 sign) / sigma with the tie correction. */
function score(x: readonly number[], y: readonly number[], mu: number): number {
  const n = x.length;
  const m = y.length;
  let i = 0;
  let j = 0;
  let rank = 0;
  let sum = 0;
  let ties = 0;
  while (i < n || j < m) {
    const value = j >= m || (i < n && x[i]! - mu <= y[j]!) ? x[i]! - mu : y[j]!;
    let own = 0;
    let all = 0;
    while (i < n && x[i]! - mu === value) {
      own++;
      all++;
      i++;
    }
    while (j < m && y[j]! === value) {
      all++;
      j++;
    }
    sum += own * (rank + (all + 1) / 2);
    ties += all ** 3 - all;
    rank += all;
  }
  const off = sum - (n * (n + 1)) / 2 - (n * m) / 2;
  const sigma = Math.sqrt(((n * m) / 12) * (n + m + 1 - ties / ((n + m) * (n + m - 1))));
  return (off - Math.sign(off) * 0.5) / sigma;
}

export interface ClassifierSettings {
  /** The interval must clear this part of the estimate. */
  fraction: number;
  confidence: 0.95 | 0.98;
  direction: Direction;
}

/** The judge's literals: 0.25 of the estimate, 98 %. */
export const JUDGE_SETTINGS: ClassifierSettings = { fraction: 0.25, confidence: 0.98, direction: 'increase' };

export function classify(
  experiment: readonly number[],
  control: readonly number[],
  settings: ClassifierSettings,
): Classification {
  if (experiment.length === 0 || control.length === 0) return 'nodata';
  const x = [...experiment].sort((a, b) => a - b);
  const y = [...control].sort((a, b) => a - b);
  if (x.length === y.length && x.every((value, i) => value === y[i])) return 'pass';
  if (x[0] === x[x.length - 1] && y[0] === y[y.length - 1] && x[0] === y[0]) return 'pass';
  // Constant but different samples: the judge adds noise of 1e-5 of the value, which keeps their order.
  if (x[0] === x[x.length - 1] && y[0] === y[y.length - 1]) return ordered(x[0]! - y[0]!, settings.direction);
  // The interval lies above 0 only when the score at 0 does: most verdicts need no root.
  if (settings.direction === 'increase' && score(x, y, 0) <= QUANTILES[String(settings.confidence)]!) return 'pass';
  const { low, high, estimate } = shiftOf(x, y, settings.confidence);
  const bound = settings.fraction * Math.abs(estimate);
  if (settings.direction !== 'decrease' && low > bound) return 'high';
  if (settings.direction !== 'increase' && high < -bound) return 'low';
  return 'pass';
}

function ordered(difference: number, direction: Direction): Classification {
  if (difference > 0) return direction === 'decrease' ? 'pass' : 'high';
  return direction === 'increase' ? 'pass' : 'low';
}

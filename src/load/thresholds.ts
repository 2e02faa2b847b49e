/** Bucket edges (ms) that alert limits are put on: Prometheus' default ladder of seconds, as milliseconds. */
const alertBucketsMs = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1_000, 2_500, 5_000, 7_500, 10_000] as const;

/** One quantile of a baseline: its value in each run (three runs or more make a spread). */
export interface BaselineQuantile {
  name: string;
  /** 0..1 */
  quantile: number;
  runsMs: number[];
  /** Median p99 of the runs. */
  p99Ms: number;
  /** The limit that was promised to users. */
  sloMs: number;
}

export interface ProposedThreshold {
  quantile: string;
  warnMs: number;
  pageMs: number;
  /** How long the limit must be broken: at least 5 min, and long enough for enough requests. */
  holdMs: number;
  /** The cap of 0.8 x SLO bound: the promise lies within the noise of the baseline. */
  sloWithinNoise: boolean;
  medianMs: number;
  sigmaMs: number;
  /** Share of requests beyond the bound, so that no quantile has to be interpolated. */
  expression: { warn: string; page: string };
}

const shortestHoldMs = 5 * 60_000;
/** The share of the promised limit that an alert may use up. */
const sloShare = 0.8;

/**
 * Alert thresholds from a baseline. m = median, sigma = 1.4826 x MAD (Rousseeuw and Croux, JASA 88 (1993), p. 1273), b(x) the
 * next bucket edge at or above x: `warn = b(max(2m, m + 3 sigma))`, `page = b(max(4m, m + 6 sigma, 2 x p99 for q < p99))`,
 * both at most 0.8 x SLO. `ratePerSecond` is the usual traffic; it sets how long it takes to see enough requests.
 */
export function proposeThreshold(
  baseline: BaselineQuantile,
  ratePerSecond: number,
  bucketsMs: readonly number[] = alertBucketsMs,
): ProposedThreshold {
  const { quantile, runsMs, p99Ms, sloMs, name } = baseline;
  const medianMs = median(runsMs);
  const sigmaMs = 1.4826 * median(runsMs.map((ms) => Math.abs(ms - medianMs)));
  const capMs = sloShare * sloMs;
  const tail = quantile < 0.99 ? 2 * p99Ms : 0;
  const warn = nextEdge(Math.max(2 * medianMs, medianMs + 3 * sigmaMs), bucketsMs);
  const page = nextEdge(Math.max(4 * medianMs, medianMs + 6 * sigmaMs, tail), bucketsMs);
  const warnMs = Math.min(warn, capMs);
  const pageMs = Math.min(page, capMs);
  const enoughMs = ratePerSecond > 0 ? (1000 * Math.ceil(20 / (1 - quantile) - 1e-9)) / ratePerSecond : 0;
  return {
    ...{ quantile: name, warnMs, pageMs, medianMs, sigmaMs },
    holdMs: Math.max(shortestHoldMs, Math.ceil(enoughMs)),
    sloWithinNoise: warn > capMs || page > capMs,
    expression: { warn: overShare(warnMs, quantile), page: overShare(pageMs, quantile) },
  };
}

function nextEdge(ms: number, bucketsMs: readonly number[]): number {
  return bucketsMs.find((edge) => edge >= ms) ?? ms;
}

function overShare(boundMs: number, quantile: number): string {
  const le = boundMs / 1000;
  return `1 - bucket{le="${le}"} / count > ${Number((1 - quantile).toFixed(6))}`;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

/** Latencies in microseconds, 1 µs to 1 h, three significant digits (HdrHistogram). */
export type LatencyHistogram = Histogram;

const longestUs = 3_600_000_000;

export function createLatencyHistogram(): LatencyHistogram {
  return build({ bitBucketSize: 32, numberOfSignificantValueDigits: 3, highestTrackableValue: longestUs });
}

export function recordMs(histogram: LatencyHistogram, ms: number): void {
  histogram.recordValue(Math.min(longestUs, Math.max(0, Math.round(ms * 1000))));
}

/** The raw histogram as evidence; `decodeHistogram` reads it back. */
export function encodeHistogram(histogram: LatencyHistogram): string {
  return encodeIntoCompressedBase64(histogram);
}

export function decodeHistogram(text: string): LatencyHistogram {
  return decodeFromCompressedBase64(text, 32);
}

/** Several runs as one. */
export function mergeHistograms(encoded: readonly string[]): LatencyHistogram {
  const all = createLatencyHistogram();
  for (const text of encoded) all.add(decodeHistogram(text));
  return all;
}

export const reportedQuantiles = { p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99, p999: 0.999 } as const;
export type QuantileName = keyof typeof reportedQuantiles;

/** A quantile in ms with its 95 % confidence interval; `enough` is false below 20/(1-q) samples. */
export interface QuantileFigure {
  ms: number;
  lowMs: number;
  highMs: number;
  enough: boolean;
}

export interface LatencyFigures {
  count: number;
  minMs: number;
  meanMs: number;
  maxMs: number;
  quantiles: Record<QuantileName, QuantileFigure>;
}

export function latencyFigures(histogram: LatencyHistogram): LatencyFigures {
  const count = histogram.totalCount;
  const entries = Object.entries(reportedQuantiles).map(([name, q]) => [name, quantileFigure(histogram, q)]);
  return {
    count,
    minMs: count === 0 ? 0 : histogram.getValueAtPercentile(0) / 1000,
    meanMs: count === 0 ? 0 : histogram.mean / 1000,
    maxMs: count === 0 ? 0 : histogram.maxValue / 1000,
    quantiles: Object.fromEntries(entries) as Record<QuantileName, QuantileFigure>,
  };
}

function quantileFigure(histogram: LatencyHistogram, q: number): QuantileFigure {
  const n = histogram.totalCount;
  const at = (rank: number): number => (n === 0 ? 0 : histogram.getValueAtPercentile((100 * rank) / n) / 1000);
  const [low, high] = quantileRanks(n, q);
  return { ms: at(n * q), lowMs: at(low), highMs: at(high), enough: n >= minimumSamples(q) };
}

/**
 * Ranks (1..n) of the order statistics that bracket the quantile with 95 % confidence: n*q ± 1.96*sqrt(n*q*(1-q))
 * (Conover, Practical Nonparametric Statistics, 3rd ed., section 3.2).
 */
export function quantileRanks(n: number, q: number): [number, number] {
  const spread = 1.96 * Math.sqrt(n * q * (1 - q));
  return [Math.max(1, n * q - spread), Math.min(n, n * q + spread)];
}

/** Samples from which a quantile is worth a verdict: 20 beyond it. */
export function minimumSamples(q: number): number {
  return Math.ceil(20 / (1 - q) - 1e-9);
}

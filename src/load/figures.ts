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

/** A quantile in ms with its 95 % confidence interval. All three are null without samples. */
export interface QuantileFigure {
  ms: number | null;
  /** Lower by what the generator's own lateness may have added. */
  lowMs: number | null;
  highMs: number | null;
  /** False below 20/(1-q) samples. */
  enough: boolean;
  /** False when the generator's lateness may have made it longer by more than a tenth and more than 1 ms. */
  sound: boolean;
}

export interface LatencyFigures {
  count: number;
  /** Null without samples. */
  minMs: number | null;
  meanMs: number | null;
  maxMs: number | null;
  quantiles: Record<QuantileName, QuantileFigure>;
}

/** How late a generator was: at most `count` requests were sent more than `ms` late. The one ascends, the other descends. */
type Lateness = readonly { count: number; ms: number }[];

/** What a run says about how far its generator may have moved a latency. */
export interface Punctuality {
  /** From the intended send time to the sending, of all requests of the run. */
  lag: LatencyHistogram;
  /** The same latencies, each without the lag of its own request. */
  punctual: LatencyHistogram;
}

function latenessOf(lag: LatencyHistogram): Lateness {
  const n = lag.totalCount;
  if (n === 0) return [{ count: 0, ms: 0 }];
  const counts = [0];
  for (let count = 1; count < n; count = Math.ceil(count * 1.5)) counts.push(count);
  return counts.map((count) => ({ count, ms: lag.getValueAtPercentile((100 * (n - count)) / n) / 1000 }));
}

/** The figures of some latencies. Without `punctuality` the generator is taken to have added nothing. */
export function latencyFigures(histogram: LatencyHistogram, punctuality: Punctuality | null = null): LatencyFigures {
  const count = histogram.totalCount;
  const least = punctuality && leastOf(punctuality);
  const entries = Object.entries(reportedQuantiles).map(([name, q]) => [name, quantileFigure(histogram, q, least)]);
  const ofAny = (ms: () => number): number | null => (count === 0 ? null : ms());
  return {
    count,
    minMs: ofAny(() => histogram.getValueAtPercentile(0) / 1000),
    meanMs: ofAny(() => histogram.mean / 1000),
    maxMs: ofAny(() => histogram.maxValue / 1000),
    quantiles: Object.fromEntries(entries) as Record<QuantileName, QuantileFigure>,
  };
}

function quantileFigure(
  histogram: LatencyHistogram,
  q: number,
  least: ((rank: number) => number) | null,
): QuantileFigure {
  const n = histogram.totalCount;
  if (n === 0) return { ms: null, lowMs: null, highMs: null, enough: false, sound: true };
  const [low, high] = quantileRanks(n, q);
  const ms = atRank(histogram, n * q);
  const addedMs = least === null ? 0 : Math.max(0, ms - least(n * q));
  return {
    ms,
    lowMs: Math.max(0, atRank(histogram, low) - addedMs),
    highMs: atRank(histogram, high),
    enough: n >= minimumSamples(q),
    sound: addedMs <= Math.max(soundShare * ms, soundMs),
  };
}

/** The order statistic of a rank (1..n) in ms; 0 below the first. */
function atRank(histogram: LatencyHistogram, rank: number): number {
  return rank <= 0 ? 0 : histogram.getValueAtPercentile((100 * rank) / histogram.totalCount) / 1000;
}

const soundShare = 0.1;
const soundMs = 1;

/**
 * What the order statistic of a rank was at least, had the generator been punctual. How late a request left is known and taken off. How
 * late its answer was read is not: whatever made `count` requests leave more than `ms` late may have made as many answers be read so late. These
 * may have pushed others up the order by their number, and every other one was read at most `ms` late. The best of these bounds holds.
 */
function leastOf({ lag, punctual }: Punctuality): (rank: number) => number {
  const lateness = latenessOf(lag);
  return (rank) => Math.max(0, ...lateness.map(({ count, ms }) => atRank(punctual, rank - count) - ms));
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

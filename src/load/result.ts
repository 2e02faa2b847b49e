import type { Unanswered } from './failures.ts';
import type { LatencyFigures, QuantileName } from './figures.ts';

/** Why a request did not succeed. `status-*`: the answer's class; `check`: the answer was not what it should be. */
export type LoadErrorClass = 'status-4xx' | 'status-5xx' | 'check' | Unanswered;

/** Figures of one run or of one target in it. Warm-up is left out. */
export interface LoadCounts {
  /** Requests with an outcome: answered, failed or timed out. */
  requests: number;
  ok: number;
  errors: Partial<Record<LoadErrorClass, number>>;
  statuses: Record<string, number>;
}

export interface LoadResult {
  schemaVersion: 1;
  validity: Validity;
  model: 'open/poisson' | 'open/uniform' | 'closed';
  seed: number;
  durationMs: number;
  warmupMs: number;
  /** What the plan asked for, and what was sent and answered, per second of measured time. */
  offeredPerSecond: number;
  sentPerSecond: number;
  achievedPerSecond: number;
  /** Arrivals beyond the limit of outstanding requests; they were not sent. */
  dropped: number;
  counts: LoadCounts;
  /**
   * From the intended send time to the whole answer: what a user waits. One that waited in vain counts with its time-out; one that failed before
   * (refused, reset …) was not answered and has no latency.
   */
  response: LatencyFigures;
  /** From the actual send time: what the service took. */
  service: LatencyFigures;
  /** From the intended send time to the moment when the generator got to it. */
  lag: LatencyFigures;
  /** Of the requests that found all of the generator's own connections taken: how long they waited for one. */
  pool: LatencyFigures;
  /** Share of one core that the generator used; of several processes the busiest. */
  cpuShare: number;
  targets: (LoadCounts & { name: string; response: LatencyFigures; histogram: string; punctual: string })[];
  /** The raw histograms behind the figures (HdrHistogram V2, compressed, base64). `punctual`: the response without each request's own lag. */
  histograms: { response: string; punctual: string; service: string; lag: string; pool: string };
}

/** What spoiled a run. `no-answer`: no request was answered, so there is no latency; the others are the generator's own doing. */
export type InvalidCause = 'nothing-sent' | 'no-answer' | 'late' | 'busy' | 'dropped' | 'local';

/** Whether the figures can bear a verdict. */
export interface Validity {
  /** INVALID: they prove nothing, for the `reasons`. */
  verdict: 'VALID' | 'INVALID';
  reasons: string[];
  /** The same, in words that do not change. */
  causes: InvalidCause[];
  /** Quantiles of the response that the generator's lateness may have moved; the others stand. */
  unsound: QuantileName[];
}

/** What is seen while a run goes on, over the last interval. */
export interface LoadLive {
  elapsedMs: number;
  intervalMs: number;
  offered: number;
  requests: number;
  errors: number;
  outstanding: number;
  /** Of the interval; null without requests. */
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
  lagMaxMs: number;
}

/** A run without any success says nothing of a service, whatever was promised or not. */
export function hasSuccess({ counts }: LoadResult): boolean {
  return counts.ok > 0;
}

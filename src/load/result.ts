import type { LatencyFigures } from './figures.ts';

/** Why a request did not succeed. `status-*`: the answer's class; `check`: the answer was not what it should be. */
export type LoadErrorClass = 'status-4xx' | 'status-5xx' | 'timeout' | 'connect' | 'reset' | 'bad-response' | 'check';

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
  /** INVALID: the generator spoiled its own measurement; `reasons` says how. The figures then prove nothing. */
  validity: { verdict: 'VALID' | 'INVALID'; reasons: string[] };
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
  /** From the intended send time to the whole answer: what a user waits. */
  response: LatencyFigures;
  /** From the actual send time: what the service took. */
  service: LatencyFigures;
  /** From the intended send time to the moment when the generator got to it. */
  lag: LatencyFigures;
  /** Share of one core that the generator used; of several processes the busiest. */
  cpuShare: number;
  targets: (LoadCounts & { name: string; response: LatencyFigures; histogram: string })[];
  /** The raw histograms behind the figures (HdrHistogram V2, compressed, base64). */
  histograms: { response: string; service: string; lag: string };
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

interface ValidityInput {
  model: LoadResult['model'];
  lagP99Ms: number;
  cpuShare: number;
  offered: number;
  dropped: number;
}

/** Limits within which the generator trusts its own figures. */
const limits = { lagP99Ms: 10, cpuShare: 0.8, droppedShare: 0.001 };

/** A run without any success says nothing of a service, whatever was promised or not. */
export function hasSuccess({ counts }: LoadResult): boolean {
  return counts.ok > 0;
}

/** Every way in which the generator, not the service, shaped the result. A closed run has no schedule to miss. */
export function invalidReasons(run: ValidityInput): string[] {
  if (run.offered === 0) return ['nothing was sent'];
  if (run.model === 'closed') return [];
  const reasons: string[] = [];
  if (run.lagP99Ms > limits.lagP99Ms) {
    reasons.push(`own lag p99 ${run.lagP99Ms.toFixed(1)} ms is above ${limits.lagP99Ms} ms`);
  }
  if (run.cpuShare > limits.cpuShare) {
    reasons.push(`own CPU ${percent(run.cpuShare)} of a core is above ${percent(limits.cpuShare)}`);
  }
  if (run.dropped > limits.droppedShare * run.offered) {
    reasons.push(
      `${percent(run.dropped / run.offered)} of the arrivals were dropped; ${percent(limits.droppedShare)} are allowed`,
    );
  }
  return reasons;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

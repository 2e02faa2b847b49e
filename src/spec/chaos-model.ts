/** The normalised chaos section: what may be rehearsed, and how far it may go. Units as in `model.ts`. */
export interface ChaosSpec {
  limits: BlastLimits;
  /** No experiment starts in these times (UTC, ms since the epoch). */
  freeze: { fromMs: number; toMs: number; why: string }[];
  experiments: Record<string, ExperimentSpec>;
}

/** Blast radius: an experiment beyond any of these is refused. */
export interface BlastLimits {
  /** Of the ready instances of a service. */
  instancesShare: number;
  /** Of the requests to a service. */
  requestsShare: number;
  /** Ready instances that must stay untouched. */
  minHealthy: number;
}

export interface ExperimentSpec {
  name: string;
  /** What is believed to stay true, in words; the probes measure it. */
  hypothesis: string;
  probes: ProbeSpec[];
  fault: FaultSpec;
  scope: ScopeSpec;
  /** The fault's time to live. */
  durationMs: number;
  /** Observation before the fault, and good observation needed after it. */
  steadyMs: number;
  /** Error share of the scope's service, over the last 5 s, at which the fault ends early. */
  stopErrorShare: number | null;
  detectWithinMs: number | null;
  recoverWithinMs: number;
  schedule: ScheduleSpec | null;
  /** May run while a release is in flight. */
  duringRelease: boolean;
}

export type ProbeSpec = HttpProbeSpec | GatewayProbeSpec;

export interface HttpProbeSpec {
  kind: 'http';
  name: string;
  url: string;
  /** Null: 200 to 399. */
  status: number | null;
  underMs: number | null;
  /** Share of probes that must be good. */
  goodShare: number;
  everyMs: number;
}

export interface GatewayProbeSpec {
  kind: 'gateway';
  name: string;
  service: string;
  errorShare: number | null;
  latency: { quantile: number; underMs: number }[];
  /** Fewer requests than this prove nothing. */
  minRequests: number;
}

export type FaultSpec =
  | { kind: 'delay'; delayMs: number }
  | { kind: 'abort'; status: number }
  | { kind: 'blackhole' }
  | { kind: 'bandwidth'; bytesPerSecond: number }
  /** Every request to the service is answered 503 by the gateway. */
  | { kind: 'dependency-down' }
  | { kind: 'kill' }
  | { kind: 'pause' };

export interface ScopeSpec {
  service: string;
  version: string | null;
  /** How many instances, chosen by seeded random; null: all. */
  instances: number | null;
  zone: string | null;
  /** Share of the requests to what is in scope. */
  share: number;
}

export type ScheduleSpec = { kind: 'every'; everyMs: number } | { kind: 'cron'; cron: string };

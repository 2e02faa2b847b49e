/**
 * The normalised spec: what the rest of Davy reads. Units are in the names: `Ms` milliseconds, `Bp` basis points
 * (1 % = 100), `Share` a fraction 0..1. Every default is filled in; every name refers to something that exists.
 */

import type { AnchorSpec } from './anchors.ts';
import type { ChaosSpec } from './chaos-model.ts';
import type { GatewaySpec } from './gateway-model.ts';

/** Integer basis points of traffic, 0..10000. */
export type WeightBp = number;

export interface Spec {
  system: string;
  services: Record<string, ServiceSpec>;
  policies: Record<string, PolicySpec>;
  /** Rehearsals of failure; absent when none are declared. */
  chaos?: ChaosSpec;
  /** Who outside keeps the ledger's checkpoints; absent when nobody does. */
  anchors?: AnchorSpec;
  /** The file the spec came from and the SHA-256 (hex) of its bytes. */
  source: { file: string; sha256: string };
}

export interface ServiceSpec {
  name: string;
  /** The gateway's port for this service on the loopback interface. */
  listenPort: number;
  stable: string;
  versions: Record<string, VersionSpec>;
  health: HealthSpec;
  traffic: TrafficSpec;
  /** Name of the release policy, always present in `Spec.policies`. */
  policy: string;
  objectives: ObjectiveSpec[];
  /** What the spec says to assume; only lints and planning read it. */
  expect?: { ratePerSecond: number } | null;
}

/** A version that Davy starts (`argv`) or that runs already (`endpoints`); exactly one of the two is set. */
export interface VersionSpec {
  name: string;
  /** Program and arguments; run without a shell, in the spec file's folder, with PORT set. */
  argv: string[] | null;
  env: Record<string, string>;
  /** Instances: declared replicas, or the number of endpoints. */
  replicas: number;
  /** Base URLs, `http://host:port`. */
  endpoints: string[];
  zone: string | null;
}

/** How an instance is asked whether it is able to serve: GET over HTTP/1.1 or h2c, gRPC's health check ('' is the whole server), a TCP connection. */
export type HealthProbe = { kind: 'http1' | 'h2c'; path: string } | { kind: 'grpc'; service: string } | { kind: 'tcp' };

export interface HealthSpec {
  probe: HealthProbe;
  everyMs: number;
  timeoutMs: number;
  /** Consecutive failures before an instance is unhealthy, successes before it is healthy again. */
  unhealthyAfter: number;
  healthyAfter: number;
  /** A version whose instances are not ready within this time fails its release. */
  startWithinMs: number;
}

export interface TrafficSpec {
  /** Whole-request budget, tries and back-off included. */
  timeoutMs: number;
  retries: RetrySpec | null;
  ejection: EjectionSpec | null;
  /** Requests with `<name>: true` reach the canary at any weight while a release is in flight. Lower case. */
  canaryHeader: string | null;
  rateLimit: RateLimitSpec | null;
  /** Present when the file names any of them. */
  gateway?: GatewaySpec;
}

export interface RetrySpec {
  /** All tries, the first included. */
  maxTries: number;
  perTryMs: number;
  /** Active retries may be at most this share of active requests (never fewer than 3 at once). */
  budgetShare: number;
}

export interface EjectionSpec {
  consecutive5xx: number;
  forMs: number;
}

export interface RateLimitSpec {
  perSecond: number;
  burst: number;
}

/** `availability`: good share >= target. `latency`: at least `target` of requests under `underMs`. */
export interface ObjectiveSpec {
  name: string;
  kind: 'availability' | 'latency';
  targetShare: number;
  underMs: number | null;
  windowMs: number;
}

/** What counts as an error of the service. Davy's own answers (limiter, breaker, injected) never do. */
export type ErrorClass = '5xx' | '4xx' | 'timeout' | 'reset';

export interface PolicySpec {
  name: string;
  /** How often harm is looked for. */
  lookMs: number;
  steps: StepSpec[];
  /** A limit broken for this long without a break rolls back. */
  sustainedMs: number;
  instant: { errorShare: number; overMs: number; minRequests: number } | null;
  compare: {
    /** alpha: the probability of a false rollback over the whole release. */
    falseRollbackShare: number;
    errors: { ratio: number; plusShare: number };
    latency: { ratio: number };
  };
  promote: {
    /** 1 - alpha_P, e.g. 0.99. */
    confidenceShare: number;
    errors: { ratio: number; plusShare: number };
    latency: { ratio: number; plusShare: number };
  };
  noData: { holdMs: number; then: 'rollback' | 'hold' };
  inconclusive: { holdMs: number; then: 'hold' | 'rollback' };
  errors: ErrorClass[];
  /** Latency of canary instances counts from this age on, ms since their first request. 0: at once. */
  warmupMs: number;
  /** What stable keeps in the last step, already taken off that step's weight. */
  holdBackBp: WeightBp;
  /** An absolute limit broken by both arms: hold and page, or roll back. */
  sharedIncident: 'hold' | 'rollback';
}

export interface StepSpec {
  weightBp: WeightBp;
  /** Observed time at this weight before the next step. */
  holdMs: number;
  limits: StepLimits;
}

export interface StepLimits {
  errorShare: number | null;
  /** Latency limits: quantile (0..1) must stay under `underMs`. */
  latency: { quantile: number; underMs: number }[];
}

import type { EjectionSpec, RateLimitSpec, RetrySpec, WeightBp } from '../spec/model.ts';

/**
 * What a data plane must enforce, whole: a table replaces the one before it atomically.
 * `generation` only grows; a data plane refuses an older one (and an older term), and answers with what it has.
 */
export interface RoutingTable {
  /** Fencing term of the controller's ledger writer. */
  term: number;
  generation: number;
  services: ServiceRoute[];
}

export interface ServiceRoute {
  service: string;
  listenHost: string;
  listenPort: number;
  stable: string;
  canary: CanaryRoute | null;
  versions: VersionRoute[];
  timeoutMs: number;
  retries: RetrySpec | null;
  ejection: EjectionSpec | null;
  rateLimit: RateLimitSpec | null;
  /** Ascending upper edges (ms) for the latency counts that the judge and the objectives need. */
  edgesMs: number[];
}

/** The canary's share is a lease: the data plane returns to stable when it is not renewed within `ttlMs`. */
export interface CanaryRoute {
  version: string;
  weightBp: WeightBp;
  /** Release id, e.g. `service-b-2`; exposure is counted per release. */
  release: string;
  /** `<name>: true` reaches the canary at any weight. Null: no header route. Lower case. */
  header: string | null;
  lease: Lease;
}

export interface Lease {
  id: string;
  ttlMs: number;
}

export interface VersionRoute {
  version: string;
  instances: InstanceAddress[];
}

export interface InstanceAddress {
  /** `<service>/<version>/<n>` */
  id: string;
  host: string;
  port: number;
  zone: string | null;
}

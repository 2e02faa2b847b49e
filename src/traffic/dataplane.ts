import type { WeightBp } from '../spec/model.ts';
import type { RoutingTable } from './model.ts';

/** What a data plane can do; planning reads these instead of asking which driver it talks to. */
export interface DataPlaneCapabilities {
  canMirror: boolean;
  canHeaderMatch: boolean;
  /** Leases are enforced where traffic flows, without the controller. */
  canLease: boolean;
  /** Smallest weight change in basis points. */
  minWeightStepBp: WeightBp;
}

/** What the data plane has in force now, read back, not remembered. */
export interface DataPlaneState {
  bootId: string;
  term: number;
  generation: number;
  services: EffectiveRoute[];
}

export interface EffectiveRoute {
  service: string;
  stable: string;
  canary: string | null;
  /** What the table says; 0 without a canary. */
  decidedWeightBp: WeightBp;
  /** 0 after the lease expired, whatever the table says. */
  effectiveWeightBp: WeightBp;
  leaseExpired: boolean;
  /** The latest canary's exposure, as measured where traffic flows; null before the first canary. */
  exposure: Exposure | null;
}

/** Wall-clock stamps (ms) by the data plane, reset when a table names another release. */
export interface Exposure {
  release: string;
  version: string;
  requests: number;
  /** Requests whose final outcome was 5xx, a timeout or a reset caused by the canary. */
  failures: number;
  firstRequestAtMs: number | null;
  firstFailureAtMs: number | null;
  lastRequestAtMs: number | null;
}

export interface DataPlane {
  readonly capabilities: DataPlaneCapabilities;
  /** Idempotent. Resolves once the table is in force; rejects with `traffic/stale-generation` when a newer one is. */
  apply(table: RoutingTable): Promise<void>;
  /** Prolongs leases by their TTL from now; returns the ids that had expired or are unknown. */
  renew(leaseIds: string[]): Promise<string[]>;
  observe(): Promise<DataPlaneState>;
}

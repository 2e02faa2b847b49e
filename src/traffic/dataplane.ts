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
  /** What it cannot do as it should, in sentences for people. Absent: nothing that it knows of. */
  warnings?: string[];
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
  /** What is in progress on the canary now. Absent: there is no canary, or the data plane cannot tell. */
  canaryInFlight?: InFlight;
  /** Versions that ceased to get traffic, and what outlived that. Absent: none, or the data plane cannot tell. */
  departed?: DepartedVersion[];
}

export interface InFlight {
  /** Requests, streams and tunnels. */
  requests: number;
  /** Of these, the ones of whose answer nothing has come. */
  unanswered: number;
}

/** A version that gets no more requests, and what became of what was open on it. */
export interface DepartedVersion {
  version: string;
  /** Wall clock (ms): when it ceased to get traffic, and when the last of what was open had ended; null while something is open. */
  sinceMs: number;
  emptyAtMs: number | null;
  /** Requests, streams and tunnels: open now; ended by themselves since; cut when the route's `drainMs` was over. */
  open: number;
  ended: number;
  cut: number;
  /** Those whose end was not seen: the process that held them was replaced. */
  unseen: number;
  /** Until what is open is cut. */
  cutInMs: number;
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

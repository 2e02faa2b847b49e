import type { Judgement, JudgeState, StableHistory } from '../analysis/judge.ts';
import { own } from '../lib/own.ts';
import type { PolicySpec, WeightBp } from '../spec/model.ts';
import type { Exposure } from '../traffic/dataplane.ts';
import type { Drain } from './drain.ts';
import type { HeldLine, LossSign, RollbackCause, TrafficLine } from './events.ts';

export type ReleasePhase = 'requested' | 'progressing' | 'watching' | 'completed' | 'rolled-back' | 'cancelled';

/** Everything the release room knows: a fold over the ledger, plain data. */
export interface FleetState {
  services: Record<string, ServiceState>;
  releases: Record<string, ReleaseState>;
  traffic: TrafficState;
  /** Idempotency keys of accepted commands and the release each one touched; the newest 10,000. */
  keys: Record<string, string>;
}

export interface ServiceState {
  stable: string;
  /** Id of the release in flight. */
  active: string | null;
  /** How many releases the service has had; names the next one. */
  count: number;
  /** The release that made `stable` stable. */
  stableSince: string | null;
}

export interface TrafficState {
  /** The last generation that was intended; only grows. */
  generation: number;
  intended: TrafficLine[];
  appliedGeneration: number;
  /** Set while the world is ahead of this ledger and nobody has decided what counts. */
  hold: { sinceMs: number; signs: LossSign[]; services: HeldLine[] } | null;
  /** How far each sign of a loss was when a person accepted it. */
  accepted: Record<string, number>;
}

export interface ReleaseState {
  id: string;
  service: string;
  version: string;
  from: string;
  policy: PolicySpec;
  /** What ran under the version's name when it was requested; null where the record does not say. */
  digest: string | null;
  history: StableHistory | null;
  startWithinMs: number;
  requestedAtMs: number;
  requestedBy: string;
  reason: string;
  phase: ReleasePhase;
  /** Counts decisions about this release (not looks): what If-Match compares. */
  revision: number;
  /** Index into policy.steps; -1 before the first step. */
  step: number;
  weightBp: WeightBp;
  paused: { reason: string; by: string } | null;
  held: { verdict: string; reason: string } | null;
  judge: JudgeState;
  judgement: Judgement | null;
  /** Canary instances that were found at fault, cannot be replaced, and get no requests in this release. */
  removed: string[];
  /** Time covered by looks since the first step, ms: the time axis of the ticks, unbroken by restarts. */
  elapsedMs: number;
  /** Counts of the weighted cohort, per step, as the looks recorded them. */
  counts: StepCounts[];
  rollback: { cause: RollbackCause; reason: string; judgement: Judgement | null; by: string } | null;
  /** Set when the measured traffic reached 0 after a rollback, or when the release completed. */
  exposure: Exposure | null;
  secondsToZero: number | null;
  /** True once a rollback was confirmed by measurement. */
  zeroConfirmed: boolean;
  /** Open on the version when its traffic was measured to be 0; null when nobody could tell. */
  openAtZero: number | null;
  /** What became of it; null until the last of it has ended. */
  drain: Drain | null;
  endedAtMs: number | null;
  endReason: string | null;
}

export interface StepCounts {
  weightBp: WeightBp;
  canaryRequests: number;
  canaryErrors: number;
  stableRequests: number;
  stableErrors: number;
}

const noTraffic: TrafficState = { generation: 0, intended: [], appliedGeneration: 0, hold: null, accepted: {} };

export function emptyFleet(): FleetState {
  return { services: {}, releases: {}, traffic: noTraffic, keys: {} };
}

export function isActive(release: ReleaseState): boolean {
  return release.phase === 'requested' || release.phase === 'progressing' || release.phase === 'watching';
}

/** The release in flight for a service, if any. */
export function activeRelease(fleet: FleetState, service: string): ReleaseState | null {
  const id = own(fleet.services, service)?.active;
  return (id && own(fleet.releases, id)) || null;
}

import type { Judgement, Look, RollbackSpeed, StableHistory } from '../analysis/judge.ts';
import type { Actor, JsonObject, NewEvent } from '../ledger/record.ts';
import type { PolicySpec, WeightBp } from '../spec/model.ts';
import type { Exposure } from '../traffic/dataplane.ts';
import type { Drain } from './drain.ts';

/** Why a rollback was decided: a rule of the judge, a missed start deadline, a person, or a spec that no longer declares the version. */
export type RollbackCause = RollbackSpeed | 'deadline' | 'operator' | 'undeclared';

/** What every event about a release carries. `key` is the idempotency key of the command that caused it. */
interface AboutRelease {
  release: string;
  key?: string;
}

/** What can happen to releases and the traffic they move. Every state of the room is a fold over these. */
export type ReleaseEvent =
  | { type: 'service.declared'; data: { service: string; stable: string } }
  | { type: 'release.requested'; data: Requested }
  | { type: 'release.step.decided'; data: StepDecided }
  | { type: 'release.observed'; data: AboutRelease & { looks: Look[] } }
  | { type: 'release.held'; data: AboutRelease & { verdict: string; reason: string } }
  | { type: 'release.hold.cleared'; data: AboutRelease }
  | { type: 'release.paused'; data: AboutRelease & { reason: string } }
  | { type: 'release.resumed'; data: AboutRelease & { reason: string } }
  | { type: 'release.instance.suspected'; data: AboutRelease & { instance: string; reason: string } }
  | { type: 'release.instance.replaced'; data: AboutRelease & { instance: string; reason: string } }
  | { type: 'release.instance.removed'; data: AboutRelease & { instance: string; reason: string } }
  | { type: 'release.instance.kept'; data: AboutRelease & { instance: string; reason: string } }
  | { type: 'release.rollback.decided'; data: RollbackDecided }
  | { type: 'release.rolledback'; data: RolledBack }
  | { type: 'release.drained'; data: AboutRelease & Drain }
  | { type: 'release.cancelled'; data: AboutRelease & { reason: string } }
  | { type: 'release.completed'; data: Completed }
  | { type: 'traffic.intended'; data: TrafficIntended }
  | { type: 'traffic.applied'; data: { generation: number; services: TrafficLine[] } }
  | { type: 'traffic.drift.detected'; data: { generation: number; service: string; expected: string; found: string } }
  | { type: 'traffic.held'; data: Held }
  | { type: 'traffic.continued'; data: Continued };

interface Requested extends AboutRelease {
  service: string;
  version: string;
  /** The stable version at the time: where a rollback returns to. */
  from: string;
  /** The policy as it stood, so that editing the spec cannot change a running release. */
  policy: PolicySpec;
  /** The version of the judge's method; absent in records of method 1. */
  method?: number;
  /** SHA-256 of what runs under the version's name; absent in older records. */
  digest?: string;
  /** What stable did before, as far as it was watched: the judge's yardstick from the first look on. */
  history?: StableHistory;
  startWithinMs: number;
  reason: string;
}

interface StepDecided extends AboutRelease {
  step: number;
  weightBp: WeightBp;
  /** `started` first step, `evidence` the judge said advance, `person` somebody promoted. */
  why: 'started' | 'evidence' | 'person';
  reason: string;
  judgement: Judgement | null;
}

interface RollbackDecided extends AboutRelease {
  cause: RollbackCause;
  reason: string;
  judgement: Judgement | null;
}

interface RolledBack extends AboutRelease {
  exposure: Exposure | null;
  secondsToZero: number | null;
  /** Requests, streams and tunnels that were still open on the version. Absent: the data plane could not tell. */
  open?: number;
}

interface Completed extends AboutRelease {
  service: string;
  stable: string;
  exposure: Exposure | null;
  judgement: Judgement | null;
}

export interface TrafficLine {
  service: string;
  stable: string;
  canary: string | null;
  weightBp: WeightBp;
  /** Ready instances per version at that moment. */
  instances: Record<string, number>;
}

interface TrafficIntended {
  generation: number;
  services: TrafficLine[];
  why: string;
  /** The record was written after the effect, because the ledger could not be written at the time. */
  late?: boolean;
}

/** Something outside that knows of more than the ledger does. */
export interface LossSign {
  /** Who knows: `data plane generation`, `witness <name>`, `run folder`. */
  by: string;
  /** How far it is (a term, a generation, a number of records): the same sign again is no news. */
  at: number;
  says: string;
}

/** What a service stays at until a person decides. */
export interface HeldLine {
  service: string;
  stable: string;
  /** Null at weight 0. */
  canary: string | null;
  weightBp: WeightBp;
  /** What the ledger had decided. */
  decidedBp: WeightBp;
  /** Accepting the loss ends the release in flight: the world has it lower, or has begun it, or nobody knows. */
  ends: boolean;
  /** Releases that the service has had, those that were lost included: their ids are not given again. */
  releases: number;
}

interface Held {
  signs: LossSign[];
  /** The highest generation known anywhere. */
  generation: number;
  services: HeldLine[];
}

interface Continued {
  reason: string;
  /** Services whose stable version becomes what is in force, because no release of this ledger made it so. */
  stable: { service: string; stable: string }[];
  key?: string;
}

const CONTROLLER: Actor = { kind: 'controller', id: 'davy' };

/** The stream an event belongs to: one per release and per service, one for traffic. */
function streamOf(event: ReleaseEvent): string {
  if (event.type === 'service.declared') return `service/${event.data.service}`;
  if (event.type.startsWith('traffic.')) return 'traffic';
  return `release/${(event.data as AboutRelease).release}`;
}

export function toNewEvent(event: ReleaseEvent, actor: Actor = CONTROLLER): NewEvent {
  return { type: event.type, stream: streamOf(event), actor, data: event.data as unknown as JsonObject };
}

/**
 * The event as the ledger can hold it (I-JSON, RFC 7493 sections 2.1 and 2.2): evidence grows beyond 2^53 - 1 and is cut
 * there, NaN becomes null, half a character U+FFFD. A decision that cannot be written would wait for ever.
 */
export function writable(event: ReleaseEvent): ReleaseEvent {
  return JSON.parse(
    JSON.stringify(event, (_key, value: unknown) => {
      if (typeof value === 'string') return value.toWellFormed();
      return typeof value === 'number' ? bounded(value) : value;
    }),
  );
}

function bounded(value: number): number {
  return Math.abs(value) > Number.MAX_SAFE_INTEGER ? Math.sign(value) * Number.MAX_SAFE_INTEGER : value;
}

import { own } from '../lib/own.ts';
import type { InstanceTick, Tick } from '../metrics/tick.ts';
import { type Ages, ageOf } from './ages.ts';
import { groupCount, type Pod, podOf, tally } from './pods.ts';

/** Counts of a set of instances in one tick. */
export interface Arm {
  /** Requests whose outcome became known, and the failed ones among them. */
  n: number;
  x: number;
  /** Requests that were sent. */
  sent: number;
  /** Requests of which it became known whether they are lost, and those that are: failed, or without any answer in time. */
  ended: number;
  lost: number;
  /**
   * Per edge: requests of which it became known whether they are slower, because they ended or because they have waited for longer; and
   * those that are. A request that hangs is known to be slow long before it ends, if it ever does.
   */
  known: number[];
  over: number[];
}

/**
 * A tick as the tests see it. Errors count at any age. Latency is compared between settled instances, those older than the
 * warm-up; where a version has none yet, all of it stands in, and `warming` says that the canary's latency may be its age.
 */
export interface Arms {
  /** Every instance of either version. */
  canary: Arm;
  stable: Arm;
  /** Canary counts by instance group. */
  groups: Arm[];
  /** Instances of stable in the order of their names. */
  stableEach: Arm[];
  /** What latency is judged by: settled instances, or all where none is. */
  warmCanary: Arm;
  warmStable: Arm;
  warmGroups: Arm[];
  /** No canary instance with requests is settled. */
  warming: boolean;
  /** Age of the youngest canary instance that was sent requests in this tick, ms; null when none was. */
  youngestMs: number | null;
  /** Requests of the canary that wait for an answer now. */
  unanswered: number;
  /** Clients dealt to either version, and requests of the canary's clients that stable had to serve; null where requests are dealt. */
  clients: { canary: number; stable: number; diverted: number } | null;
}

/** What the weight divides: clients where they keep their place, requests elsewhere. */
export function dealtOf(arms: Arms): { canary: number; stable: number } {
  return arms.clients ?? { canary: arms.canary.sent, stable: arms.stable.sent };
}

export function emptyArm(edges: number): Arm {
  const zeros = (): number[] => new Array<number>(edges).fill(0);
  return { n: 0, x: 0, sent: 0, ended: 0, lost: 0, known: zeros(), over: zeros() };
}

export function cloneArm(arm: Arm): Arm {
  return { ...arm, known: arm.known.slice(), over: arm.over.slice() };
}

/** The requests that a share of events is of; `edge` is -1 for errors, else the index of a latency edge. */
export function requestsOf(arm: Arm, edge: number): number {
  return edge < 0 ? arm.n : (arm.known[edge] ?? 0);
}

/** The events among them. */
export function eventsOf(arm: Arm, edge: number): number {
  return edge < 0 ? arm.x : (arm.over[edge] ?? 0);
}

function sentOf(row: InstanceTick): number {
  return row.started ?? row.requests;
}

function add(arm: Arm, row: InstanceTick): void {
  arm.n += row.requests;
  arm.x += row.errors;
  arm.sent += sentOf(row);
  arm.ended += row.requests + (row.overdue ?? 0);
  arm.lost += row.errors + (row.unserved ?? 0);
  const { known, over } = arm;
  for (let j = 0; j < over.length; j++) {
    const waiting = row.waiting?.[j] ?? 0;
    known[j]! += row.requests + waiting;
    over[j]! += row.over[j]! + waiting;
  }
}

export function addArm(arm: Arm, other: Arm): void {
  arm.n += other.n;
  arm.x += other.x;
  arm.sent += other.sent;
  arm.ended += other.ended;
  arm.lost += other.lost;
  for (let j = 0; j < arm.over.length; j++) {
    arm.known[j]! += other.known[j] ?? 0;
    arm.over[j]! += other.over[j] ?? 0;
  }
}

/** What sorting a tick needs besides it. */
export interface ArmsSetup {
  stable: string;
  canary: string;
  warmupMs: number;
  /** Slow is what exceeds this edge; -1: not known yet. */
  slowEdge: number;
}

const NONE: InstanceTick[] = [];

/** Sorts a valid tick into arms and notes the canary's instances in `pods` and the ages of all in `ages`. */
export function armsOf(tick: Tick, setup: ArmsSetup, pods: Pod[], ages: Ages): Arms {
  const edges = tick.edges.length;
  const rows = (version: string): InstanceTick[] => own(tick.versions, version) ?? NONE;
  const canaryRows = rows(setup.canary);
  const owners = canaryRows.map((row) => podOf(pods, row.instance));
  const emptyGroups = (): Arm[] => Array.from({ length: groupCount(pods) }, () => emptyArm(edges));
  const canary = emptyArm(edges);
  const settled = emptyArm(edges);
  const groups = emptyGroups();
  const settledGroups = emptyGroups();
  let youngestMs: number | null = null;
  let unanswered = 0;
  canaryRows.forEach((row, i) => {
    const pod = owners[i]!;
    const waiting = row.waiting?.[setup.slowEdge] ?? 0;
    tally(pod, {
      ...{ sent: sentOf(row), ended: row.requests + (row.overdue ?? 0), lost: row.errors + (row.unserved ?? 0) },
      ...{ known: row.requests + waiting, slow: (row.over[setup.slowEdge] ?? 0) + waiting },
    });
    unanswered += row.unanswered ?? 0;
    add(canary, row);
    add(groups[pod.group]!, row);
    const ageMs = ageOf(ages, row);
    if (sentOf(row) > 0 || row.requests > 0) youngestMs = Math.min(youngestMs ?? Number.POSITIVE_INFINITY, ageMs);
    if (ageMs < setup.warmupMs) return;
    add(settled, row);
    add(settledGroups[pod.group]!, row);
  });
  const warming = isUsed(canary) && !isUsed(settled) && setup.warmupMs > 0;
  return {
    canary,
    groups,
    warmCanary: warming ? canary : settled,
    warmGroups: warming ? groups : settledGroups,
    warming,
    youngestMs,
    unanswered,
    clients: clientsOf(tick, setup),
    ...stableArms(rows(setup.stable), edges, setup.warmupMs, ages),
  };
}

function isUsed(arm: Arm): boolean {
  return arm.n > 0 || arm.sent > 0;
}

function clientsOf({ clients }: Tick, { stable, canary }: ArmsSetup): Arms['clients'] {
  if (clients === undefined) return null;
  const dealt = (version: string): number => own(clients.dealt, version) ?? 0;
  return { canary: dealt(canary), stable: dealt(stable), diverted: clients.diverted };
}

function stableArms(
  rows: readonly InstanceTick[],
  edges: number,
  warmupMs: number,
  ages: Ages,
): Pick<Arms, 'stable' | 'stableEach' | 'warmStable'> {
  const stable = emptyArm(edges);
  const settled = emptyArm(edges);
  const stableEach: Arm[] = [];
  const ordered = rows.length < 2 ? rows : [...rows].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  for (const row of ordered) {
    add(stable, row);
    const each = emptyArm(edges);
    add(each, row);
    stableEach.push(each);
    if (ageOf(ages, row) >= warmupMs) add(settled, row);
  }
  return { stable, stableEach, warmStable: isUsed(settled) ? settled : stable };
}

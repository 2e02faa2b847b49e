import { own } from '../lib/own.ts';
import type { InstanceTick, Tick } from '../metrics/tick.ts';
import { type Ages, ageOf } from './ages.ts';
import { groupCount, type Pod, podOf, tally } from './pods.ts';

/** Counts of a set of instances in one tick. */
export interface Arm {
  n: number;
  x: number;
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
  /** Age of the youngest canary instance with requests in this tick, ms; null when none had any. */
  youngestMs: number | null;
}

export function emptyArm(edges: number): Arm {
  return { n: 0, x: 0, over: new Array<number>(edges).fill(0) };
}

function add(arm: Arm, row: InstanceTick): void {
  arm.n += row.requests;
  arm.x += row.errors;
  const { over } = arm;
  for (let j = 0; j < over.length; j++) over[j]! += row.over[j]!;
}

export function addArm(arm: Arm, other: Arm): void {
  arm.n += other.n;
  arm.x += other.x;
  for (let j = 0; j < arm.over.length; j++) arm.over[j]! += other.over[j]!;
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
  canaryRows.forEach((row, i) => {
    const pod = owners[i]!;
    tally(pod, row.requests, row.errors, row.over[setup.slowEdge] ?? 0);
    add(canary, row);
    add(groups[pod.group]!, row);
    const ageMs = ageOf(ages, row);
    if (row.requests > 0) youngestMs = Math.min(youngestMs ?? Number.POSITIVE_INFINITY, ageMs);
    if (ageMs < setup.warmupMs) return;
    add(settled, row);
    add(settledGroups[pod.group]!, row);
  });
  const warming = canary.n > 0 && settled.n === 0 && setup.warmupMs > 0;
  return {
    canary,
    groups,
    warmCanary: warming ? canary : settled,
    warmGroups: warming ? groups : settledGroups,
    warming,
    youngestMs,
    ...stableArms(rows(setup.stable), edges, setup.warmupMs, ages),
  };
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
    stableEach.push({ n: row.requests, x: row.errors, over: row.over });
    if (ageOf(ages, row) >= warmupMs) add(settled, row);
  }
  return { stable, stableEach, warmStable: settled.n > 0 ? settled : stable };
}

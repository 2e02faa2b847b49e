import { own } from '../lib/own.ts';
import type { InstanceTick, Tick } from '../metrics/tick.ts';
import { groupCount, type Pod, podOf, tally } from './pods.ts';

/** Counts of a set of instances in one tick. */
export interface Arm {
  n: number;
  x: number;
  over: number[];
}

/** A tick as the tests see it. Settled instances are older than the warm-up; young ones stay out of comparisons. */
export interface Arms {
  canary: Arm;
  stable: Arm;
  /** Canary instances within their warm-up. */
  young: Arm;
  /** Settled canary counts by instance group. */
  groups: Arm[];
  /** Every canary instance, young ones included, by group. */
  allGroups: Arm[];
  /** Settled stable instances in the order of their names. */
  stableEach: Arm[];
  /** All requests of either version, young ones included. */
  canaryTotal: number;
  stableTotal: number;
  stableErrors: number;
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

const NONE: InstanceTick[] = [];

/** Sorts a valid tick into arms and notes the canary's instances in `pods`; slow is what exceeds `slowEdge` (-1: not known yet). */
export function armsOf(
  tick: Tick,
  stable: string,
  canary: string,
  warmupMs: number,
  pods: Pod[],
  slowEdge: number,
): Arms {
  const edges = tick.edges.length;
  const canaryRows = own(tick.versions, canary) ?? NONE;
  const stableRows = own(tick.versions, stable) ?? NONE;
  const owners = canaryRows.map((row) => podOf(pods, row.instance));
  const arms: Arms = {
    canary: emptyArm(edges),
    stable: emptyArm(edges),
    young: emptyArm(edges),
    groups: [],
    allGroups: [],
    stableEach: [],
    canaryTotal: 0,
    stableTotal: 0,
    stableErrors: 0,
  };
  for (let g = groupCount(pods); g > 0; g--) {
    arms.groups.push(emptyArm(edges));
    arms.allGroups.push(emptyArm(edges));
  }
  canaryRows.forEach((row, i) => {
    const pod = owners[i]!;
    tally(pod, row.requests, row.errors, row.over[slowEdge] ?? 0);
    arms.canaryTotal += row.requests;
    add(arms.allGroups[pod.group]!, row);
    const young = isYoung(row, warmupMs);
    add(young ? arms.young : arms.canary, row);
    if (!young) add(arms.groups[pod.group]!, row);
  });
  addStable(arms, stableRows, warmupMs);
  return arms;
}

function addStable(arms: Arms, rows: readonly InstanceTick[], warmupMs: number): void {
  const ordered = rows.length < 2 ? rows : [...rows].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  for (const row of ordered) {
    arms.stableTotal += row.requests;
    arms.stableErrors += row.errors;
    if (isYoung(row, warmupMs)) continue;
    add(arms.stable, row);
    arms.stableEach.push({ n: row.requests, x: row.errors, over: row.over });
  }
}

function isYoung(row: InstanceTick, warmupMs: number): boolean {
  return row.ageMs !== undefined && row.ageMs < warmupMs;
}

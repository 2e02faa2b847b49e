import type { Arm } from './arms.ts';
import { worseNats } from './two-sample.ts';

/** A part of the instant rule's window. `groups` holds requests of each canary group and lost ones (failed, or without an answer in time) in turn. */
export interface InstantEntry {
  ms: number;
  groups: number[];
  ns: number;
  xs: number;
}

export interface InstantRule {
  errorShare: number;
  overMs: number;
  minRequests: number;
}

/** What is tolerated while the rule looks, and how sure it must be that chance did not do it. */
export interface InstantGuard {
  /** Share of requests that a harmless canary may lose: its limit, or what stable lost before. */
  tolerated: number;
  /** -ln of the probability allowed to chance at this look, times the dispersion of stable's failures. */
  nats: number;
  /** Whether a group may be at fault alone: then the rule must hold without it. */
  separable: (group: number) => boolean;
  /**
   * Stable in the same window, what is tolerated beyond its rate, and how little chance must explain the difference (nats):
   * a failure that both versions share is not the canary's. Null: there is nothing to compare with.
   */
  beside: { n: number; x: number; ratio: number; plus: number; nats: number } | null;
}

export type InstantFinding =
  | { kind: 'none' }
  | { kind: 'rollback'; requests: number; errors: number; overMs: number }
  | { kind: 'instance'; group: number; requests: number; errors: number };

const PARTS = 16;

/** Adds a tick to the window and drops what is older than the rule's time. */
export function keepWindow(
  entries: InstantEntry[],
  rule: InstantRule,
  groups: readonly Arm[],
  stable: Arm,
  dtMs: number,
): void {
  const last = entries[entries.length - 1];
  const entry = last !== undefined && last.ms + dtMs <= rule.overMs / PARTS ? last : open(entries);
  entry.ms += dtMs;
  entry.ns += stable.ended;
  entry.xs += stable.lost;
  groups.forEach((group, g) => {
    entry.groups[2 * g] = (entry.groups[2 * g] ?? 0) + group.ended;
    entry.groups[2 * g + 1] = (entry.groups[2 * g + 1] ?? 0) + group.lost;
  });
  let covered = 0;
  let first = entries.length - 1;
  while (first >= 0 && covered + entries[first]!.ms <= rule.overMs) covered += entries[first--]!.ms;
  // A single tick longer than the window is all there is to judge by.
  if (first >= 0) entries.splice(0, Math.min(first + 1, entries.length - 1));
}

function open(entries: InstantEntry[]): InstantEntry {
  const entry = { ms: 0, groups: [], ns: 0, xs: 0 };
  entries.push(entry);
  return entry;
}

/** Forgets a group's share of the window: its instance was found at fault. */
export function forgetGroup(entries: InstantEntry[], group: number): void {
  for (const entry of entries) {
    if (entry.groups.length <= 2 * group) continue;
    entry.groups[2 * group] = 0;
    entry.groups[2 * group + 1] = 0;
  }
}

/** Requests of stable over the window, and lost ones. */
export function stableOf(entries: readonly InstantEntry[]): { n: number; x: number } {
  let n = 0;
  let x = 0;
  for (const entry of entries) {
    n += entry.ns;
    x += entry.xs;
  }
  return { n, x };
}

/**
 * The instant rule: at least `errorShare` of at least `minRequests` canary requests were lost, and the Chernoff bound
 * exp(-n KL) of so many failures at the tolerated rate is below what chance is allowed at this look. The allowances add
 * up to a twentieth of alpha over the release, so this rule has a bound as well.
 */
export function judgeInstant(entries: readonly InstantEntry[], rule: InstantRule, guard: InstantGuard): InstantFinding {
  const sums = groupSums(entries);
  let n = 0;
  let x = 0;
  let overMs = 0;
  for (let g = 0; g < sums.length; g += 2) {
    n += sums[g]!;
    x += sums[g + 1]!;
  }
  for (const entry of entries) overMs += entry.ms;
  if (n < rule.minRequests || x < rule.errorShare * n || !isHarm(n, x, guard, 1)) {
    return { kind: 'none' };
  }
  const worst = worstGroup(sums);
  if (!guard.separable(worst)) return { kind: 'rollback', requests: n, errors: x, overMs };
  const otherN = n - sums[2 * worst]!;
  const otherX = x - sums[2 * worst + 1]!;
  if (otherX >= rule.errorShare * otherN && isHarm(otherN, otherX, guard, 0.5)) {
    return { kind: 'rollback', requests: n, errors: x, overMs };
  }
  const enough = otherN >= rule.minRequests / 2;
  if (enough && otherX <= Math.max(otherN * guard.tolerated, (rule.errorShare * otherN) / 2)) {
    return { kind: 'instance', group: worst, requests: sums[2 * worst]!, errors: sums[2 * worst + 1]! };
  }
  return { kind: 'none' };
}

/** More failures than chance explains, beyond what is tolerated and beyond stable's of the same time. `part` of the proof is asked. */
function isHarm(n: number, x: number, { tolerated, nats, beside }: InstantGuard, part: number): boolean {
  if (poissonNats(x, n * tolerated) < part * nats) return false;
  if (beside === null) return true;
  const counts = { nc: n, xc: x, ns: beside.n, xs: beside.x };
  return worseNats(counts, beside.ratio, beside.plus) >= part * beside.nats;
}

function groupSums(entries: readonly InstantEntry[]): number[] {
  const sums: number[] = [];
  for (const entry of entries) {
    for (let i = 0; i < entry.groups.length; i++) sums[i] = (sums[i] ?? 0) + entry.groups[i]!;
  }
  return sums;
}

function worstGroup(sums: readonly number[]): number {
  let worst = 0;
  for (let g = 0; 2 * g < sums.length; g++) if (sums[2 * g + 1]! > sums[2 * worst + 1]!) worst = g;
  return worst;
}

/** -ln of the Chernoff bound for at least `x` events where `mean` are expected. */
function poissonNats(x: number, mean: number): number {
  if (x <= mean) return 0;
  return x * Math.log(x / Math.max(mean, 1e-9)) - x + mean;
}

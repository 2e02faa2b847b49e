/**
 * Instances of the canary, in at most `MAX_GROUPS` groups: evidence is capped and cross-checked per group, and state stays
 * bounded whatever the number of instances. Up to eight instances each have a group of their own.
 */
export interface Pod {
  id: string;
  group: number;
  /** Fading tallies (half-life 5 min) that name the worst instance of a group: the lost ones of those that ended, the slow ones of those known. */
  ended: number;
  lost: number;
  known: number;
  slow: number;
  /** Time since it last carried a request, ms. */
  idleMs: number;
  /** It was found at fault and stays in service: its failures count as the version's. */
  stays?: boolean;
}

const MAX_GROUPS = 8;
const MAX_PODS = 256;
const HALF_LIFE_MS = 300_000;
/** An instance that carried nothing for this long no longer counts as a witness. */
const FORGET_MS = 300_000;

/** Finds or adds an instance; beyond `MAX_PODS` names it shares the last one's place. */
export function podOf(pods: Pod[], id: string): Pod {
  for (const pod of pods) if (pod.id === id) return pod;
  if (pods.length >= MAX_PODS) return pods[pods.length - 1]!;
  const pod: Pod = { id, group: pods.length % MAX_GROUPS, ended: 0, lost: 0, known: 0, slow: 0, idleMs: 0 };
  pods.push(pod);
  return pod;
}

export function groupCount(pods: readonly Pod[]): number {
  return Math.min(pods.length, MAX_GROUPS);
}

export function fade(pods: Pod[], dtMs: number): void {
  const keep = 2 ** (-dtMs / HALF_LIFE_MS);
  for (const pod of pods) {
    pod.ended *= keep;
    pod.lost *= keep;
    pod.known *= keep;
    pod.slow *= keep;
    pod.idleMs += dtMs;
  }
}

/** What one look saw of an instance. One that was sent requests is a witness, also when it answered none. */
export function tally(
  pod: Pod,
  seen: { sent: number; ended: number; lost: number; known: number; slow: number },
): void {
  pod.ended += seen.ended;
  pod.lost += seen.lost;
  pod.known += seen.known;
  pod.slow += seen.slow;
  if (seen.sent > 0 || seen.ended > 0) pod.idleMs = 0;
}

/** Groups that may be at fault alone: those without an instance that stays whatever it does. */
export function mayBeAtFault(pods: readonly Pod[], group: number): boolean {
  return !pods.some((pod) => pod.group === group && pod.stays === true);
}

/** Groups that carried requests lately: witnesses for and against each other. */
export function activeGroups(pods: readonly Pod[]): number {
  let seen = 0;
  let count = 0;
  for (const pod of pods) {
    const bit = 1 << pod.group;
    if (pod.idleMs < FORGET_MS && (seen & bit) === 0) {
      seen |= bit;
      count++;
    }
  }
  return count;
}

/** Instances that carried requests lately. */
export function activePods(pods: readonly Pod[]): number {
  let count = 0;
  for (const pod of pods) if (pod.idleMs < FORGET_MS) count++;
  return count;
}

/** The instance of a group with the highest share of failures, or of slow requests. */
export function worstOf(pods: readonly Pod[], group: number, bySlow: boolean): string | null {
  let worst: Pod | null = null;
  let worstShare = -1;
  for (const pod of pods) {
    const of = bySlow ? pod.known : pod.ended;
    if (pod.group !== group || of <= 0) continue;
    const share = (bySlow ? pod.slow : pod.lost) / of;
    if (share > worstShare) {
      worst = pod;
      worstShare = share;
    }
  }
  return worst?.id ?? null;
}

/** Below this (chance explains it once in 20 times) events lie evenly over the instances. */
export const EVEN_NATS = 3;
/** From this on (once in 1,000 times) an instance stands out and may be named. */
export const STANDS_OUT_NATS = 6.9;

/**
 * How much more than its part one group has of all events, in nats: Chernoff's bound all x KL(own/all || n/total) for so
 * many of them on a group that gets `n` of `total` requests, 0 when it has no more than its part.
 */
export function unevenNats(own: number, all: number, n: number, total: number): number {
  if (all <= 0 || n <= 0 || total <= 0) return 0;
  const p = own / all;
  const u = n / total;
  if (p <= u) return 0;
  return all * (p * Math.log(p / u) + (p < 1 ? (1 - p) * Math.log((1 - p) / (1 - u)) : 0));
}

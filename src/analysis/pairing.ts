import { type Arm, type Arms, addArm, cloneArm } from './arms.ts';

/**
 * Comparisons need requests on both arms. A look with a handful of stable's is worth little on its own (the bet is bounded
 * by the split that it happened to have), so such looks are added up until stable has shown enough, or for a while. A longer
 * tick is one valid tick; rules that need no comparison do not wait.
 */
const ENOUGH_STABLE = 10;
const LONGEST_MS = 10_000;

/** Looks that wait for more of stable. */
export interface Pairing {
  ms: number;
  arms: Arms;
}

/** The arms to compare now, those that waited included; null while they wait. */
export function paired(
  waiting: Pairing | null,
  arms: Arms,
  dtMs: number,
): { ready: Arms | null; waiting: Pairing | null } {
  const ms = (waiting?.ms ?? 0) + dtMs;
  const merged = waiting === null ? arms : merge(waiting.arms, arms);
  if (merged.stable.n >= ENOUGH_STABLE || ms >= LONGEST_MS) return { ready: merged, waiting: null };
  return { ready: null, waiting: { ms, arms: waiting === null ? copyOf(arms) : merged } };
}

export function copyOf(arms: Arms): Arms {
  return {
    ...arms,
    canary: cloneArm(arms.canary),
    stable: cloneArm(arms.stable),
    groups: arms.groups.map(cloneArm),
    stableEach: arms.stableEach.map(cloneArm),
    warmCanary: cloneArm(arms.warmCanary),
    warmStable: cloneArm(arms.warmStable),
    warmGroups: arms.warmGroups.map(cloneArm),
  };
}

/** Adds `next` to a copy of `first`. A tick of another age (warming or not) counts as the younger of the two. */
function merge(first: Arms, next: Arms): Arms {
  const out = copyOf(first);
  addArm(out.canary, next.canary);
  addArm(out.stable, next.stable);
  addArm(out.warmCanary, next.warmCanary);
  addArm(out.warmStable, next.warmStable);
  addEach(out.groups, next.groups);
  addEach(out.warmGroups, next.warmGroups);
  addEach(out.stableEach, next.stableEach);
  out.warming = first.warming || next.warming;
  out.youngestMs = next.youngestMs ?? first.youngestMs;
  return out;
}

function addEach(into: Arm[], from: readonly Arm[]): void {
  from.forEach((arm, i) => {
    const own = into[i];
    if (own === undefined) into.push(cloneArm(arm));
    else addArm(own, arm);
  });
}

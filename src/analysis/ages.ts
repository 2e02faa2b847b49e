import { own } from '../lib/own.ts';
import type { InstanceTick, Tick } from '../metrics/tick.ts';

/**
 * How long each instance has served. A process that has run for an hour without a request is as cold as one that starts, so
 * age counts from the first request that the judge saw; a source that knows the start of a process can only make it younger.
 * Stable's instances of the first tick have served before and count as old.
 */
export interface Ages {
  /** Instances that began to serve since the release began, with the time since, ms. */
  seen: { id: string; ms: number }[];
  /** Instances of stable that served before. */
  old: string[];
}

/** Older than any warm-up: the age of what served before the release, ms. */
const OLD_MS = 1e12;
/** More instances than this are remembered as old. */
const MAX_SEEN = 512;

export function newAges(): Ages {
  return { seen: [], old: [] };
}

/** A copy: entries are replaced, never written to by a reader. */
export function cloneAges(ages: Ages): Ages {
  return { seen: ages.seen.map((one) => ({ ...one })), old: ages.old };
}

/** The first usable tick: stable's instances have served before it. */
export function rememberOld(ages: Ages, tick: Tick, stable: string): void {
  const rows = own(tick.versions, stable) ?? [];
  ages.old = rows.slice(0, MAX_SEEN).map((row) => row.instance);
}

/** Time passes for every instance; those that serve their first request in this tick begin at the age of the tick. */
export function growAges(ages: Ages, tick: Tick, dtMs: number): void {
  for (const one of ages.seen) one.ms += dtMs;
  const known = new Set(ages.seen.map((one) => one.id));
  for (const old of ages.old) known.add(old);
  for (const rows of Object.values(tick.versions)) {
    for (const row of rows) {
      if ((row.started ?? row.requests) <= 0 || known.has(row.instance) || ages.seen.length >= MAX_SEEN) continue;
      ages.seen.push({ id: row.instance, ms: 0 });
    }
  }
}

/** Time that an instance has served, ms; `OLD_MS` for one that served before the release. */
export function ageOf(ages: Ages, row: Pick<InstanceTick, 'instance' | 'ageMs'>): number {
  const seen = ages.seen.find((one) => one.id === row.instance);
  return Math.min(seen?.ms ?? OLD_MS, row.ageMs ?? OLD_MS);
}

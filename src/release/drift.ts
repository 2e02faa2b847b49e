import { DavyError } from '../lib/error.ts';
import type { DataPlaneState, EffectiveRoute } from '../traffic/dataplane.ts';
import type { ServiceRoute } from '../traffic/model.ts';

/** A difference between what was asserted and what the data plane does. */
export interface Drift {
  /** `*` when it concerns the whole table. */
  service: string;
  expected: string;
  found: string;
  /** The canary gets more than was decided, or nobody can tell. */
  exposes: boolean;
}

/** The first difference between the table of `generation` and what was read back; null when there is none. */
export function driftOf(state: DataPlaneState, generation: number, routes: readonly ServiceRoute[]): Drift | null {
  if (state.generation !== generation) {
    const found = `generation ${state.generation}`;
    return { service: '*', expected: `generation ${generation}`, found, exposes: state.generation > generation };
  }
  for (const route of routes) {
    const found = state.services.find((service) => service.service === route.service);
    const drift = found ? routeDrift(route, found) : { expected: 'a route', found: 'none', exposes: false };
    if (drift) return { service: route.service, ...drift };
  }
  return null;
}

function routeDrift(route: ServiceRoute, found: EffectiveRoute): Omit<Drift, 'service'> | null {
  const wanted = route.canary?.weightBp ?? 0;
  const share = { expected: `${wanted} bp`, found: `${found.effectiveWeightBp} bp` };
  if (found.leaseExpired) return { ...share, found: `${share.found} (lease expired)`, exposes: false };
  const exposes = found.effectiveWeightBp > wanted;
  if (found.effectiveWeightBp !== wanted) return { ...share, exposes };
  const versions = versionsOf(route.stable, route.canary?.version ?? null);
  const there = versionsOf(found.stable, found.canary);
  return versions === there ? null : { expected: versions, found: there, exposes: true };
}

function versionsOf(stable: string, canary: string | null): string {
  return canary === null ? `stable ${stable}` : `stable ${stable} and canary ${canary}`;
}

/** What is in force when the data plane refuses a table as older than its own. The record has the numbers; told once, it has none. */
export const FOREIGN_TABLE = 'a routing table that somebody else wrote is in force';

/** The drift as a person reads it: `shop: decided 1000 bp, in force 1024 bp`. */
export function describeDrift({ service, expected, found, exposes }: Drift): string {
  if (service === '*') return exposes ? FOREIGN_TABLE : 'an older routing table is in force';
  return `${service}: decided ${expected}, in force ${found}`;
}

const REFUSALS = new Set(['traffic/invalid-table', 'traffic/port-in-use', 'traffic/stale-generation']);

/** The data plane was reached and does not want the table: asking again at once does not help. */
export function isRefusal(error: unknown): error is DavyError {
  return error instanceof DavyError && REFUSALS.has(error.code);
}

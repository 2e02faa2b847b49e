import { type Clock, sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Log } from '../lib/log.ts';
import type { Spec } from '../spec/model.ts';
import type { DataPlane, DataPlaneState } from '../traffic/dataplane.ts';
import type { ServiceRoute } from '../traffic/model.ts';
import type { TrafficLine } from './events.ts';
import {
  LEASE_TTL_MS,
  leaseIds,
  type ReadyInstances,
  routesDiffer,
  routesFor,
  tableOf,
  trafficLines,
} from './route.ts';
import type { ReleaseStore } from './store.ts';

/** How often the lane reads back what the data plane does, and asserts again what it should do. */
const OBSERVE_EVERY_MS = 1000;
const RENEW_EVERY_MS = LEASE_TTL_MS / 3;

export interface TrafficLaneParts {
  spec: Spec;
  store: ReleaseStore;
  dataPlane: DataPlane;
  ready: () => ReadyInstances;
  term: () => number;
  clock: Clock;
  log: Log;
  /** Called when a table was read back as in force, before anything else happens. */
  onApplied: () => Promise<void>;
  onObserved: (state: DataPlaneState) => Promise<void>;
}

/** Keeps the data plane in step with the fold: intend (durable), apply, read back, renew, re-assert. */
export interface TrafficLane {
  /** Runs a pass soon; passes never overlap. */
  kick(): void;
  /** True when the table that the fold wants is the one that was read back. */
  inForce(): boolean;
  /** The last reading of the data plane; null while it cannot be reached. */
  observed(): DataPlaneState | null;
  /** Why the data plane is not in step, for people; null when it is. */
  problem(): string | null;
  /** What the last failed pass threw; null after a pass that succeeded. */
  failure(): unknown;
  start(): void;
  stop(): Promise<void>;
}

export function createTrafficLane(parts: TrafficLaneParts): TrafficLane {
  const { store, clock, log, dataPlane } = parts;
  let routes: ServiceRoute[] | null = null;
  let generation = 0;
  let confirmed = -1;
  let recorded = -1;
  let state: DataPlaneState | null = null;
  let problem: string | null = 'not connected yet';
  let failure: unknown = null;
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | null = null;
  let again = false;
  const stopped = new AbortController();

  /** Writes the intention down; false when a raise could not be made durable and must wait. */
  async function intend(): Promise<boolean> {
    const wanted = routesFor(parts.spec, store.fleet(), parts.ready());
    if (routes && !routesDiffer(routes, wanted)) return true;
    const next = Math.max(generation, store.fleet().traffic.generation) + 1;
    const lines = trafficLines(wanted);
    const lowering = !raisesAny(store.fleet().traffic.intended, lines);
    const why = routes ? 'releases or instances changed' : 'the controller started';
    try {
      const event = { type: 'traffic.intended' as const, data: { generation: next, services: lines, why } };
      await store.commit(() => [event], { lowering });
    } catch (error) {
      problem = messageOf(error);
      return false;
    }
    routes = wanted;
    generation = next;
    return true;
  }

  async function assertTable(): Promise<void> {
    if (!routes) return;
    await dataPlane.apply(tableOf(parts.term(), generation, routes));
    renewedAtMs = clock.monoMs();
    state = await dataPlane.observe();
    if (state.generation !== generation)
      throw new Error(`generation ${state.generation} is in force, not ${generation}`);
    confirmed = generation;
    problem = null;
    failure = null;
    await parts.onApplied();
    if (recorded !== generation) {
      recorded = generation;
      const event = { type: 'traffic.applied' as const, data: { generation, services: trafficLines(routes) } };
      await store.commit(() => [event], { lowering: true });
    }
  }

  /** An expired lease or a foreign table needs a new generation; a restarted data plane takes the same one again. */
  async function readBack(): Promise<void> {
    state = await dataPlane.observe();
    const drift = driftOf(state, generation, routes ?? []);
    if (drift) {
      log.warn({ ...drift, generation }, 'the data plane does not do what was decided; asserting again');
      const event = { type: 'traffic.drift.detected' as const, data: { generation, ...drift } };
      await store.commit(() => [event], { lowering: true });
      confirmed = -1;
      if (state.generation >= generation) routes = null;
      generation = Math.max(generation, state.generation);
      again = true;
      return;
    }
    problem = null;
    failure = null;
    await parts.onObserved(state);
  }

  async function renew(): Promise<void> {
    const ids = leaseIds(parts.term(), routes ?? []);
    if (ids.length === 0 || clock.monoMs() - renewedAtMs < RENEW_EVERY_MS) return;
    renewedAtMs = clock.monoMs();
    await dataPlane.renew(ids);
  }

  async function pass(): Promise<void> {
    try {
      if (!(await intend())) return;
      if (confirmed !== generation) await assertTable();
      else {
        await renew();
        await readBack();
      }
    } catch (error) {
      problem = messageOf(error);
      failure = error;
      confirmed = -1;
      state = null;
      if (isStale(error)) await overtake();
      log.warn({ error: problem, generation }, 'the data plane is not in step');
    }
  }

  /** Somebody applied a newer table (an older controller before it died): ours must become the newest. */
  async function overtake(): Promise<void> {
    generation = Math.max(generation, (await dataPlane.observe()).generation);
    routes = null;
  }

  async function passes(): Promise<void> {
    do {
      again = false;
      await pass().catch((error) => log.error({ error: messageOf(error) }, 'a traffic pass failed'));
    } while (again && !stopped.signal.aborted && problem === null);
    running = null;
  }

  function kick(): void {
    again = true;
    if (!running && !stopped.signal.aborted) running = passes();
  }

  async function loop(): Promise<void> {
    while (!stopped.signal.aborted) {
      kick();
      await sleep(clock, OBSERVE_EVERY_MS, stopped.signal).catch(() => {});
    }
  }

  return {
    kick,
    inForce() {
      if (!routes || confirmed !== generation) return false;
      return !routesDiffer(routes, routesFor(parts.spec, store.fleet(), parts.ready()));
    },
    observed: () => state,
    problem: () => problem,
    failure: () => failure,
    start: () => void loop(),
    async stop() {
      stopped.abort();
      await running;
    },
  };
}

/** A table raises when a service's canary gets more, or its stable version changes to something other than its canary. */
export function raisesAny(before: TrafficLine[], after: TrafficLine[]): boolean {
  return after.some((line) => {
    const old = before.find((other) => other.service === line.service);
    if (!old) return line.weightBp > 0;
    if (line.stable !== old.stable && line.stable !== old.canary) return false;
    return line.weightBp > old.weightBp || (line.weightBp > 0 && line.canary !== old.canary);
  });
}

function driftOf(
  state: DataPlaneState,
  generation: number,
  routes: ServiceRoute[],
): { service: string; expected: string; found: string } | null {
  if (state.generation !== generation) {
    return { service: '*', expected: `generation ${generation}`, found: `generation ${state.generation}` };
  }
  for (const route of routes) {
    const found = state.services.find((service) => service.service === route.service);
    const wanted = route.canary?.weightBp ?? 0;
    if (!found) return { service: route.service, expected: 'a route', found: 'none' };
    if (found.leaseExpired || found.effectiveWeightBp !== wanted) {
      const why = found.leaseExpired ? ' (lease expired)' : '';
      return { service: route.service, expected: `${wanted} bp`, found: `${found.effectiveWeightBp} bp${why}` };
    }
  }
  return null;
}

function isStale(error: unknown): boolean {
  return error instanceof DavyError && error.code === 'traffic/stale-generation';
}

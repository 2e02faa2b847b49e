import { backOffMs } from '../lib/back-off.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Log } from '../lib/log.ts';
import type { Spec, WeightBp } from '../spec/model.ts';
import type { DataPlane, DataPlaneState } from '../traffic/dataplane.ts';
import type { ServiceRoute } from '../traffic/model.ts';
import { type Drift, describeDrift, driftOf, FOREIGN_TABLE, isRefusal } from './drift.ts';
import { releaseErrors } from './errors.ts';
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
import type { ReleaseState } from './state.ts';
import type { ReleaseStore } from './store.ts';

/** How often the lane reads back what the data plane does, and asserts again what it should do. */
const OBSERVE_EVERY_MS = 1000;
const RENEW_EVERY_MS = LEASE_TTL_MS / 3;
/** Between assertions of a table that the data plane does not keep; a new decision never waits for it. */
const ASSERT_AGAIN = { firstMs: OBSERVE_EVERY_MS, longestMs: 15_000 };
/** The same while the canary gets more than was decided. */
const LOWER_AGAIN = { ...ASSERT_AGAIN, longestMs: 5_000 };
/** A table that was in force this long has settled: what goes wrong next is news. */
const SETTLED_AFTER_MS = 60_000;
/** Different drifts that are recorded between two settled times: a router that makes up its figures must not fill the ledger. */
const MAX_DRIFTS_RECORDED = 16;

const CHANGED = 'releases or instances changed';

export interface TrafficLaneParts {
  spec: Spec;
  store: ReleaseStore;
  dataPlane: DataPlane;
  ready: () => ReadyInstances;
  term: () => number;
  clock: Clock;
  log: Log;
  /** Called with what the data plane has before this controller tells it anything; rejects to be asked again. */
  onFirstSeen: (state: DataPlaneState) => Promise<void>;
  /** The data plane follows a controller with a higher term: nothing that this one says counts any more. */
  onOutranked: (error: DavyError) => void;
  onObserved: (state: DataPlaneState) => Promise<void>;
}

/** Keeps the data plane in step with the fold: intend (durable), apply, read back, renew, re-assert. */
export interface TrafficLane {
  /** Runs a pass soon; passes never overlap. */
  kick(): void;
  /** True when the table that the fold wants is the one that was read back. */
  inForce(): boolean;
  /**
   * What a service's canary gets, as it was last read back (basis points); null while that is unknown or another canary or
   * stable version is served. What happens to other services' routes does not matter.
   */
  weightInForce(release: Pick<ReleaseState, 'service' | 'version' | 'from'>): WeightBp | null;
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
  /** Assertions that did not last, since traffic was last settled, and when the next one is due. */
  let failures = 0;
  let assertAtMs = Number.NEGATIVE_INFINITY;
  let inForceSinceMs = Number.NEGATIVE_INFINITY;
  const driftsRecorded = new Set<string>();
  /** The data plane has, or had, another table: the next assertion needs a generation above this one. */
  let overtakenAt = -1;
  let renewedAtMs = Number.NEGATIVE_INFINITY;
  let seen = false;
  let running: Promise<void> | null = null;
  let again = false;
  const stopped = new AbortController();

  /** Writes the intention down; false when a raise could not be made durable and must wait. */
  async function intend(): Promise<boolean> {
    const wanted = routesFor(parts.spec, store.fleet(), parts.ready());
    const news = routes === null || routesDiffer(routes, wanted);
    if (!news && !(overtakenAt >= generation && isDue())) return true;
    const next = Math.max(generation, overtakenAt, store.fleet().traffic.generation) + 1;
    const lines = trafficLines(wanted);
    const lowering = !raisesAny(store.fleet().traffic.intended, lines);
    const why = !routes ? 'the controller started' : news ? CHANGED : 'the data plane had another table';
    try {
      const event = { type: 'traffic.intended' as const, data: { generation: next, services: lines, why } };
      await store.commit(() => [event], { lowering });
    } catch (error) {
      problem = messageOf(error);
      return false;
    }
    routes = wanted;
    generation = next;
    if (news) assertAtMs = Number.NEGATIVE_INFINITY;
    return true;
  }

  function isDue(): boolean {
    return clock.monoMs() >= assertAtMs;
  }

  async function assertTable(): Promise<void> {
    await dataPlane.apply(tableOf(parts.term(), generation, routes ?? []));
    renewedAtMs = clock.monoMs();
    failure = null;
    await readBack();
  }

  /** The table is in force when the data plane says so, not when it took it. */
  async function readBack(): Promise<void> {
    state = await observe();
    const drift = driftOf(state, generation, routes ?? []);
    if (drift) return drifted(drift, state);
    problem = null;
    failure = null;
    if (confirmed !== generation) await nowInForce();
    else if (clock.monoMs() - inForceSinceMs >= SETTLED_AFTER_MS) {
      failures = 0;
      driftsRecorded.clear();
    }
    await parts.onObserved(state);
  }

  async function observe(): Promise<DataPlaneState> {
    const found = await dataPlane.observe();
    if (found.term <= parts.term()) return found;
    const sentence = `The data plane follows a controller of term ${found.term}; this one has term ${parts.term()}.`;
    throw new DavyError(releaseErrors.outranked, sentence);
  }

  async function nowInForce(): Promise<void> {
    confirmed = generation;
    inForceSinceMs = clock.monoMs();
    if (recorded === generation) return;
    recorded = generation;
    const event = { type: 'traffic.applied' as const, data: { generation, services: trafficLines(routes ?? []) } };
    await store.commit(() => [event], { lowering: true });
  }

  async function drifted(drift: Drift, found: DataPlaneState): Promise<void> {
    // A refusal says more than the difference that it leaves.
    if (failure === null) problem = describeDrift(drift);
    await recordOnce(drift);
    // Only what was asserted, or was in force, is one failure more; a waiting table is looked at every second.
    if (confirmed !== generation && !isDue()) return;
    // A foreign table is only replaced by a newer one, and what follows the first drift is told apart by its generation.
    // A data plane that was started anew takes the same generation again.
    if (failures === 0 || found.generation > generation) overtakenAt = found.generation;
    confirmed = -1;
    notKept(drift.exposes);
  }

  async function recordOnce(drift: Drift): Promise<void> {
    const { exposes: _, ...data } = drift;
    const name = driftName(drift);
    if (driftsRecorded.has(name) || driftsRecorded.size >= MAX_DRIFTS_RECORDED) return;
    driftsRecorded.add(name);
    log.warn({ ...data, generation }, 'the data plane does not do what was decided; asserting again');
    const event = { type: 'traffic.drift.detected' as const, data: { generation, ...data } };
    await store.commit(() => [event], { lowering: true });
  }

  /** The first time the table is asserted again at once, then ever more rarely. */
  function notKept(exposes: boolean): void {
    failures += 1;
    const waitMs = failures === 1 ? 0 : backOffMs(failures - 1, exposes ? LOWER_AGAIN : ASSERT_AGAIN);
    assertAtMs = clock.monoMs() + waitMs;
    again ||= waitMs === 0;
  }

  async function renew(): Promise<void> {
    const ids = leaseIds(parts.term(), routes ?? []);
    if (ids.length === 0 || clock.monoMs() - renewedAtMs < RENEW_EVERY_MS) return;
    renewedAtMs = clock.monoMs();
    await dataPlane.renew(ids);
  }

  async function pass(): Promise<void> {
    try {
      if (!seen) await parts.onFirstSeen(await observe());
      seen = true;
      if (!(await intend())) return;
      if (confirmed === generation) await renew();
      else if (isDue()) return await assertTable();
      await readBack();
    } catch (error) {
      await failed(error).catch(failed);
    }
  }

  async function failed(error: unknown): Promise<void> {
    const isStale = error instanceof DavyError && error.code === 'traffic/stale-generation';
    const says = isStale ? FOREIGN_TABLE : messageOf(error);
    if (says !== problem) log.warn({ error: says, generation }, 'the data plane is not in step');
    problem = says;
    failure = error;
    confirmed = -1;
    state = null;
    if (error instanceof DavyError && error.kind === releaseErrors.outranked) return parts.onOutranked(error);
    if (!isRefusal(error)) return;
    notKept(false);
    // Somebody applied a newer table (an older controller before it died): ours must become the newest.
    if (!isStale) return;
    overtakenAt = Math.max(generation, (await observe()).generation);
  }

  async function passes(): Promise<void> {
    do {
      again = false;
      await pass().catch((error) => log.error({ error: messageOf(error) }, 'a traffic pass failed'));
    } while (again && !stopped.signal.aborted);
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
    weightInForce({ service, version, from }) {
      const found = state?.services.find((line) => line.service === service);
      if (!found || found.stable !== from || found.canary !== version) return null;
      return found.leaseExpired ? 0 : found.effectiveWeightBp;
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

/** Foreign tables count up their generation with every write: they are one drift, whichever number they have. */
function driftName({ service, expected, found }: Drift): string {
  return service === '*' ? service : `${service}: ${expected}, ${found}`;
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

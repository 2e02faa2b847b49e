import { randomUUID } from 'node:crypto';
import type { Judge } from '../analysis/judge.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Actor } from '../ledger/record.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Log } from '../lib/log.ts';
import { own } from '../lib/own.ts';
import type { MetricsSource } from '../metrics/source.ts';
import type { Spec } from '../spec/model.ts';
import type { DataPlane, DataPlaneState, Exposure } from '../traffic/dataplane.ts';
import type { InstanceStatus, Workloads } from '../workloads/workloads.ts';
import { decideChangedVersions } from './changed-versions.ts';
import {
  decideInstanceFate,
  decidePause,
  decidePromote,
  decideRequest,
  decideResume,
  decideRollback,
  decideStart,
  decideZeroConfirmed,
  findRelease,
  type InstanceFate,
  unknownService,
} from './decide.ts';
import { decideDrained, departureOf, lastEnded } from './drain.ts';
import { releaseErrors } from './errors.ts';
import type { LossSign, ReleaseEvent } from './events.ts';
import { decideContinue } from './hold.ts';
import { refuseHeld } from './hold-reason.ts';
import { createLookLane } from './look-lane.ts';
import { createLossWatch } from './loss-watch.ts';
import type { Past } from './past.ts';
import { readyInstances } from './route.ts';
import { STABLE_READ_EVERY_MS, StableWatch } from './stable-watch.ts';
import { type FleetState, isActive, type ReleaseState } from './state.ts';
import { createReleaseStore, isReplaced } from './store.ts';
import { createTrafficLane } from './traffic-lane.ts';

/** How often due looks and start conditions are checked; the looks themselves follow the policy. */
const PULSE_MS = 200;
/** Looks without a decision are written at least this often. */
const FLUSH_EVERY_MS = 5000;
/** Two equal exposure readings this far apart mean that nothing reaches the canary any more. */
const ZERO_CONFIRM_MS = 1000;

const SETTLE_POLL_MS = 20;
/** Refusals of the data plane that trying again does not mend. */
const FINAL_FAILURES = new Set(['traffic/port-in-use', 'traffic/invalid-table']);

export interface ControllerParts {
  spec: Spec;
  ledger: Ledger;
  dataPlane: DataPlane;
  metrics: MetricsSource;
  workloads: Workloads;
  judge: Judge;
  clock: Clock;
  log: Log;
  /** Other rooms' reasons against going on; lowering a weight never asks. */
  gates?: Gates;
  /** The highest term that the ledger knew before this controller took its own. */
  knownTerm: number;
  /** What others outside know that this ledger does not: witnesses, the run folder. */
  lossSigns?: () => readonly LossSign[];
  /** The ledger is lost to this process; it must end so that the next one replays what is durable. */
  onFatal: (error: unknown) => void;
  /** Told of every state that the replay at the start comes past. */
  onReplayed?: (past: Past) => void;
}

/** Why no weight may be raised, and why no release of a service may start; null when they may. */
export interface Gates {
  raise: () => string | null;
  release: (service: string) => string | null;
}

/** Who asks for a change, and under which conditions. */
export interface Caller {
  actor: Actor;
  /** Idempotency key: the same one again changes nothing. */
  key?: string;
  /** If-Match: the release's revision that the caller saw. */
  revision?: number;
}

export interface RequestInput {
  service: string;
  version: string;
  reason: string;
  /** Replace a release in flight that somebody else requested. */
  supersede: boolean;
}

export interface Controller {
  /** Replays the ledger and declares what is new. Rejects when ledger and spec contradict; nothing is done before. */
  load(): Promise<void>;
  /** After `load`: starts the lanes. */
  start(): void;
  stop(): Promise<void>;
  fleet(): FleetState;
  observed(): DataPlaneState | null;
  /** Why traffic is not in step with the decisions; null when it is. */
  trafficProblem(): string | null;
  /** Resolves when the first table is in force; rejects with what the data plane refused, or after `withinMs`. */
  settled(withinMs: number): Promise<void>;
  /** Decisions that took effect but could not be recorded yet. */
  lateCount(): number;
  subscribe(listener: () => void): () => void;
  /** Each command decides on the newest state; with a known `key` it does nothing and answers as the first time. */
  request(command: RequestInput, caller: Caller): Promise<string>;
  pause(release: string, reason: string, caller: Caller): Promise<void>;
  resume(release: string, reason: string, caller: Caller): Promise<void>;
  promote(release: string, options: { reason: string; full: boolean }, caller: Caller): Promise<void>;
  rollback(release: string, reason: string, caller: Caller): Promise<void>;
  /**
   * Goes on where records of the ledger are lost, from what is in force. Resolves with the releases that ended by it;
   * rejects with `release/not-held` where none are lost.
   */
  acceptLoss(options: { reason: string; acceptLoss: boolean }, caller: Caller): Promise<string[]>;
}

export function createController(parts: ControllerParts): Controller {
  const { spec, clock, log, workloads, judge } = parts;
  const store = createReleaseStore({
    ledger: parts.ledger,
    judge,
    nowMs: () => clock.nowMs(),
    log,
    onFatal,
    onReplayed: parts.onReplayed,
  });
  const stopped = new AbortController();
  const waitingSince = new Map<string, number>();
  const quiet = new Map<string, { requests: number; sinceMs: number }>();
  const loss = createLossWatch({
    ...{ spec, store, knownTerm: parts.knownTerm },
    elsewhere: () => parts.lossSigns?.() ?? [],
  });
  const raiseBlocked = (): string | null => loss.raiseBlocked() ?? parts.gates?.raise() ?? null;
  const watch = new StableWatch(spec);
  let watchedAtMs = Number.NEGATIVE_INFINITY;
  let flushedAtMs = 0;
  let lanes: Promise<void> = Promise.resolve();

  const lane = createTrafficLane({
    spec,
    store,
    dataPlane: parts.dataPlane,
    ready: () => readyInstances(workloads.list()),
    term: () => parts.ledger.head().term,
    clock,
    log,
    onFirstSeen: (state) => loss.compare(state),
    onOutranked: onFatal,
    onObserved: async (state) => {
      await confirmZero(state);
      await confirmDrained(state);
    },
  });
  const looks = createLookLane({
    store,
    metrics: parts.metrics,
    lane,
    judge,
    clock,
    ageMs: (id) => ageOf(workloads, id, clock),
    mayRaise: () => raiseBlocked() === null,
    act: (events) => {
      act(events).catch((error) => log.error({ error: messageOf(error) }, 'an instance at fault was not dealt with'));
    },
  });

  function onFatal(error: unknown): void {
    if (isReplaced(error)) {
      stopped.abort();
      void lane.stop();
    }
    parts.onFatal(error);
  }

  /** Write ahead: the suspicion is durable; what came of it follows. */
  async function act(events: ReleaseEvent[]): Promise<void> {
    for (const event of events) {
      if (event.type !== 'release.instance.suspected') continue;
      const { release, instance } = event.data;
      const { fate, reason } = await dealWith(release, instance);
      await store.commit((fleet) => decideInstanceFate(fleet, release, instance, fate, reason), { lowering: true });
      lane.kick();
    }
  }

  /** Replaces the instance; where that cannot be done it leaves the rotation, unless it is the last one. */
  async function dealWith(release: string, instance: string): Promise<{ fate: InstanceFate; reason: string }> {
    try {
      await workloads.replace(instance);
      return { fate: 'replaced', reason: 'another process serves in its place' };
    } catch (error) {
      const why = messageOf(error);
      log.warn({ instance, error: why }, 'the instance cannot be replaced');
      const found = own(store.fleet().releases, release);
      const ready = (found && own(readyInstances(workloads.list()), found.service)) ?? {};
      const others = (own(ready, found?.version ?? '') ?? []).filter(
        ({ id }) => id !== instance && !found?.removed.includes(id),
      );
      if (others.length > 0) return { fate: 'removed', reason: `it gets no requests any more: ${why}` };
      return { fate: 'kept', reason: `no other instance is ready, so its failures count as the version's: ${why}` };
    }
  }

  /** A rollback is complete when the measured traffic stands still, not when the table says 0. */
  async function confirmZero(state: DataPlaneState): Promise<void> {
    for (const release of Object.values(store.fleet().releases)) {
      if (release.phase !== 'rolled-back' || release.zeroConfirmed) continue;
      const route = state.services.find((service) => service.service === release.service);
      if (!route || (route.canary === release.version && route.effectiveWeightBp > 0)) continue;
      const exposure = route.exposure?.release === release.id ? route.exposure : null;
      if (!standsStill(release.id, exposure)) continue;
      const open = departureOf(release, route)?.open ?? null;
      await store.commit((fleet) => decideZeroConfirmed(own(fleet.releases, release.id) ?? release, exposure, open), {
        lowering: true,
      });
      quiet.delete(release.id);
    }
  }

  /** What is open on a version outlives its traffic for a while: the record says how it ended. */
  async function confirmDrained(state: DataPlaneState): Promise<void> {
    for (const release of lastEnded(store.fleet())) {
      const route = state.services.find((one) => one.service === release.service);
      if (!route || decideDrained(release, departureOf(release, route)).length === 0) continue;
      const decide = (fleet: FleetState): ReleaseEvent[] => {
        const now = own(fleet.releases, release.id);
        return now === undefined ? [] : decideDrained(now, departureOf(now, route));
      };
      await store.commit(decide, { lowering: true });
    }
  }

  function standsStill(release: string, exposure: Exposure | null): boolean {
    const requests = exposure?.requests ?? 0;
    const before = quiet.get(release);
    if (!before || before.requests !== requests) {
      quiet.set(release, { requests, sinceMs: clock.monoMs() });
      return false;
    }
    return clock.monoMs() - before.sinceMs >= ZERO_CONFIRM_MS * 0.9;
  }

  async function startReady(): Promise<void> {
    if (raiseBlocked() !== null) return;
    for (const release of Object.values(store.fleet().releases)) {
      if (release.phase !== 'requested') {
        waitingSince.delete(release.id);
        continue;
      }
      const since = waitingSince.get(release.id) ?? clock.monoMs();
      waitingSince.set(release.id, since);
      const canary = readiness(workloads.list(), release);
      if (decideStart(release, canary, clock.monoMs() - since).length === 0) continue;
      await store.commit((fleet) =>
        fleet.traffic.hold ? [] : decideStart(findRelease(fleet, release.id), canary, clock.monoMs() - since),
      );
      lane.kick();
    }
  }

  async function pulse(): Promise<void> {
    await loss.listen().catch((error) => log.error({ error: messageOf(error) }, 'a loss could not be dealt with'));
    await startReady().catch((error) => log.error({ error: messageOf(error) }, 'a start could not be decided'));
    await looks.lookDue().catch((error) => log.error({ error: messageOf(error) }, 'a look failed'));
    await watchStable();
    if (clock.monoMs() - flushedAtMs < FLUSH_EVERY_MS) return;
    flushedAtMs = clock.monoMs();
    await store.flush();
  }

  /** A source that is gone teaches nothing about stable: what is known stays. */
  async function watchStable(): Promise<void> {
    if (clock.monoMs() - watchedAtMs < STABLE_READ_EVERY_MS) return;
    watchedAtMs = clock.monoMs();
    const snapshot = await parts.metrics.read().catch(() => null);
    if (snapshot !== null) watch.note(snapshot, store.fleet());
  }

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      await pulse();
      await sleep(clock, PULSE_MS, stopped.signal).catch(() => {});
    }
  }

  async function declare(): Promise<void> {
    const fleet = store.fleet();
    const events: ReleaseEvent[] = [];
    for (const service of Object.values(spec.services)) {
      const known = own(fleet.services, service.name);
      if (!known) events.push({ type: 'service.declared', data: { service: service.name, stable: service.stable } });
      else if (!own(service.versions, known.stable)) throw stableMissing(service.name, known.stable);
    }
    await store.commit(() => events);
    await store.commit((now) => decideChangedVersions(now, spec), { lowering: true });
  }

  async function decided(
    release: string | null,
    caller: Caller,
    decide: (fleet: FleetState) => ReleaseEvent[],
    lowering = false,
  ): Promise<ReleaseEvent[]> {
    const events = await store.commit(
      (fleet) => {
        if (caller.key !== undefined && own(fleet.keys, caller.key) !== undefined) return [];
        if (release !== null && caller.revision !== undefined)
          checkRevision(findRelease(fleet, release), caller.revision);
        return withKey(decide(fleet), caller.key);
      },
      { by: caller.actor, lowering },
    );
    lane.kick();
    return events;
  }

  async function change(...how: Parameters<typeof decided>): Promise<void> {
    await decided(...how);
  }

  return {
    async load() {
      await store.load();
      await declare();
    },
    start() {
      workloads.subscribe(() => lane.kick());
      lane.start();
      lanes = run();
    },
    async stop() {
      stopped.abort();
      await lanes;
      await lane.stop();
      await store.flush();
    },
    fleet: () => store.fleet(),
    observed: () => lane.observed(),
    trafficProblem: () => lane.problem(),
    async settled(withinMs) {
      const deadlineMs = clock.monoMs() + withinMs;
      while (!lane.inForce()) {
        const failure = lane.failure();
        if (failure instanceof DavyError && FINAL_FAILURES.has(failure.code)) throw failure;
        if (clock.monoMs() > deadlineMs) throw failure ?? new Error(lane.problem() ?? 'traffic is not in step');
        await sleep(clock, SETTLE_POLL_MS);
      }
    },
    lateCount: () => store.lateCount(),
    subscribe: (listener) => store.subscribe(listener),
    async request(command, caller) {
      const service = own(spec.services, command.service);
      const policy = service && own(spec.policies, service.policy);
      if (!service || !policy) throw unknownService(Object.keys(spec.services), command.service);
      refuseHeld(store.fleet());
      refuseIf(parts.gates?.release(service.name) ?? null);
      const { version, reason, supersede } = command;
      const key = caller.key ?? randomUUID();
      await change(null, { ...caller, key }, (fleet) =>
        decideRequest(fleet, {
          ...{ service, policy, version, reason, supersede, by: caller.actor.id },
          history: watch.historyOf(service.name, own(fleet.services, service.name)?.stable ?? ''),
        }),
      );
      return own(store.fleet().keys, key) ?? '';
    },
    pause: (id, reason, caller) => change(id, caller, (fleet) => decidePause(fleet, id, reason)),
    resume: (id, reason, caller) => change(id, caller, (fleet) => decideResume(fleet, id, reason)),
    async promote(id, { reason, full }, caller) {
      refuseIf(raiseBlocked());
      const release = findRelease(store.fleet(), id);
      const readyInstances = readiness(workloads.list(), release).ready;
      if (isActive(release)) await looks.lookNow(id);
      await change(id, caller, (fleet) => decidePromote(fleet, id, { reason, full, readyInstances }));
    },
    rollback: (id, reason, caller) => change(id, caller, (fleet) => decideRollback(fleet, id, reason), true),
    async acceptLoss(options, caller) {
      const events = await decided(null, caller, (fleet) => decideContinue(fleet, options));
      return events.flatMap(({ data }) => ('release' in data ? [data.release] : []));
    },
  };
}

/** The last event carries the key: for a replacement that is the new release, not the cancelled one. */
function withKey(events: ReleaseEvent[], key: string | undefined): ReleaseEvent[] {
  const last = events.at(-1);
  if (!last || key === undefined || !('release' in last.data || last.type === 'traffic.continued')) return events;
  return [...events.slice(0, -1), { ...last, data: { ...last.data, key } } as ReleaseEvent];
}

function checkRevision(release: ReleaseState, expected: number): void {
  if (release.revision === expected) return;
  throw new DavyError(
    releaseErrors['stale-precondition'],
    `${release.id} is at revision ${release.revision}, not ${expected}.`,
  );
}

function readiness(
  list: InstanceStatus[],
  release: ReleaseState,
): { ready: number; wanted: number; problem: string | null } {
  const mine = list.filter((status) => status.service === release.service && status.version === release.version);
  const ready = mine.filter((status) => status.phase === 'ready').length;
  return { ready, wanted: mine.length, problem: mine.find((status) => status.problem)?.problem ?? null };
}

function ageOf(workloads: Workloads, id: string, clock: Clock): number | null {
  const startedAtMs = workloads.list().find((status) => status.id === id)?.startedAtMs ?? null;
  return startedAtMs === null ? null : Math.max(0, clock.nowMs() - startedAtMs);
}

function refuseIf(why: string | null): void {
  if (why !== null) throw new DavyError(releaseErrors.blocked, `Not now: ${why}.`);
}

function stableMissing(service: string, version: string): DavyError {
  return new DavyError(
    releaseErrors['stable-not-in-spec'],
    `The ledger says ${version} is the stable version of ${service}, but the spec does not declare it.`,
  );
}

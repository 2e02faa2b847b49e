import type { Judge, JudgeSetup, Look } from '../analysis/judge.ts';
import { own } from '../lib/own.ts';
import type { ReleaseEvent } from './events.ts';
import { continued, held } from './evolve-hold.ts';
import { rememberKey } from './keys.ts';
import type { FleetState, ReleaseState, StepCounts } from './state.ts';

/** What a record adds to its event: when and by whom. */
export interface EventContext {
  atMs: number;
  by: string;
}

export function judgeSetup({ policy, from, version, history }: ReleaseState): JudgeSetup {
  return { policy, stable: from, canary: version, ...(history === null ? {} : { history }) };
}

/**
 * `evolve(state, event) -> state`: pure, total over the known events. Evidence is not stored in the ledger but
 * recomputed from the recorded looks, so a replay checks the judge as well.
 */
export function evolve(fleet: FleetState, event: ReleaseEvent, context: EventContext, judge: Judge): FleetState {
  const next = apply(fleet, event, context, judge);
  if (event.type === 'release.observed' || !('release' in event.data)) return next;
  const id = event.data.release;
  const counted = withRelease(next, id, (release) => ({ ...release, revision: release.revision + 1 }));
  return event.data.key === undefined ? counted : { ...counted, keys: rememberKey(counted.keys, event.data.key, id) };
}

function apply(fleet: FleetState, event: ReleaseEvent, context: EventContext, judge: Judge): FleetState {
  switch (event.type) {
    case 'service.declared':
      return withService(fleet, event.data.service, {
        stable: event.data.stable,
        active: null,
        count: 0,
        stableSince: null,
      });
    case 'release.requested':
      return requested(fleet, event.data, context, judge);
    case 'traffic.intended':
      return {
        ...fleet,
        traffic: { ...fleet.traffic, generation: event.data.generation, intended: event.data.services },
      };
    case 'traffic.applied':
      return { ...fleet, traffic: { ...fleet.traffic, appliedGeneration: event.data.generation } };
    case 'traffic.drift.detected':
      return fleet;
    case 'traffic.held':
      return held(fleet, event.data, context);
    case 'traffic.continued':
      return continued(fleet, event.data);
    case 'release.completed':
      return completed(fleet, event.data, context);
    case 'release.rollback.decided':
      return rollbackDecided(fleet, event.data, context);
    case 'release.cancelled':
      return endRelease(fleet, event.data.release, { phase: 'cancelled', endReason: event.data.reason }, context);
    default:
      return withRelease(fleet, event.data.release, (release) => evolveRelease(release, event, context, judge));
  }
}

type InFlightEvent = Extract<
  ReleaseEvent,
  {
    type:
      | 'release.step.decided'
      | 'release.observed'
      | 'release.held'
      | 'release.hold.cleared'
      | 'release.paused'
      | 'release.resumed'
      | 'release.instance.suspected'
      | 'release.instance.replaced'
      | 'release.instance.removed'
      | 'release.instance.kept'
      | 'release.rolledback'
      | 'release.drained';
  }
>;

function evolveRelease(release: ReleaseState, event: InFlightEvent, context: EventContext, judge: Judge): ReleaseState {
  switch (event.type) {
    case 'release.step.decided':
      return enterStep(release, event.data.step, event.data.weightBp, judge);
    case 'release.observed':
      return event.data.looks.reduce((state, look) => observe(state, look, judge), release);
    case 'release.held':
      return { ...release, held: { verdict: event.data.verdict, reason: event.data.reason } };
    case 'release.hold.cleared':
      return { ...release, held: null };
    case 'release.paused':
      return { ...release, paused: { reason: event.data.reason, by: context.by } };
    case 'release.resumed':
      return { ...release, paused: null };
    case 'release.instance.suspected':
      return release;
    case 'release.instance.replaced':
      return instanceFate(release, event.data.instance, 'gone', judge);
    case 'release.instance.removed':
      return {
        ...instanceFate(release, event.data.instance, 'gone', judge),
        removed: [...release.removed, event.data.instance],
      };
    case 'release.instance.kept':
      return instanceFate(release, event.data.instance, 'stays', judge);
    case 'release.rolledback':
      return {
        ...release,
        exposure: event.data.exposure,
        secondsToZero: event.data.secondsToZero,
        zeroConfirmed: true,
        openAtZero: event.data.open ?? null,
      };
    case 'release.drained': {
      const { version, ended, cut, unseen, seconds } = event.data;
      return { ...release, drain: { version, ended, cut, unseen, seconds } };
    }
  }
}

/** In ledgers of method 1 the judge forgot an instance when it named it; forgetting it once more changes nothing. */
function instanceFate(release: ReleaseState, instance: string, fate: 'gone' | 'stays', judge: Judge): ReleaseState {
  return { ...release, judge: judge.instanceFate(judgeSetup(release), release.judge, instance, fate) };
}

function requested(
  fleet: FleetState,
  data: Extract<ReleaseEvent, { type: 'release.requested' }>['data'],
  context: EventContext,
  judge: Judge,
): FleetState {
  const service = own(fleet.services, data.service);
  if (!service) return fleet;
  const release: ReleaseState = {
    id: data.release,
    service: data.service,
    version: data.version,
    from: data.from,
    policy: data.policy,
    digest: data.digest ?? null,
    history: data.history ?? null,
    startWithinMs: data.startWithinMs,
    requestedAtMs: context.atMs,
    requestedBy: context.by,
    reason: data.reason,
    phase: 'requested',
    revision: 0,
    step: -1,
    weightBp: 0,
    paused: null,
    held: null,
    judge: judge.start({ policy: data.policy, stable: data.from, canary: data.version }),
    judgement: null,
    removed: [],
    elapsedMs: 0,
    counts: [],
    rollback: null,
    exposure: null,
    secondsToZero: null,
    zeroConfirmed: false,
    openAtZero: null,
    drain: null,
    endedAtMs: null,
    endReason: null,
  };
  const next = withService(fleet, data.service, { ...service, active: data.release, count: service.count + 1 });
  return { ...next, releases: { ...next.releases, [data.release]: release } };
}

function enterStep(release: ReleaseState, step: number, weightBp: number, judge: Judge): ReleaseState {
  return {
    ...release,
    step,
    weightBp,
    phase: step === release.policy.steps.length - 1 ? 'watching' : 'progressing',
    held: null,
    judge: judge.enterStep(judgeSetup(release), release.judge, step),
    counts: [...release.counts, { weightBp, canaryRequests: 0, canaryErrors: 0, stableRequests: 0, stableErrors: 0 }],
  };
}

function observe(release: ReleaseState, look: Look, judge: Judge): ReleaseState {
  const { state, judgement } = judge.look(judgeSetup(release), release.judge, look);
  const last = release.counts.at(-1);
  const counts = last ? [...release.counts.slice(0, -1), addCounts(last, release, look)] : release.counts;
  return { ...release, judge: state, judgement, counts, elapsedMs: release.elapsedMs + look.dtMs };
}

function addCounts(counts: StepCounts, release: ReleaseState, look: Look): StepCounts {
  if (!look.tick) return counts;
  const sum = { ...counts };
  for (const instance of own(look.tick.versions, release.version) ?? []) {
    sum.canaryRequests += instance.requests;
    sum.canaryErrors += instance.errors;
  }
  for (const instance of own(look.tick.versions, release.from) ?? []) {
    sum.stableRequests += instance.requests;
    sum.stableErrors += instance.errors;
  }
  return sum;
}

function completed(
  fleet: FleetState,
  data: Extract<ReleaseEvent, { type: 'release.completed' }>['data'],
  context: EventContext,
): FleetState {
  const ended = endRelease(
    fleet,
    data.release,
    { phase: 'completed', endReason: 'every step held and the watch found no harm', exposure: data.exposure },
    context,
  );
  const service = own(ended.services, data.service);
  if (!service) return ended;
  return withService(ended, data.service, { ...service, stable: data.stable, stableSince: data.release });
}

function rollbackDecided(
  fleet: FleetState,
  data: Extract<ReleaseEvent, { type: 'release.rollback.decided' }>['data'],
  context: EventContext,
): FleetState {
  const release = own(fleet.releases, data.release);
  const service = release && own(fleet.services, release.service);
  if (!release || !service) return fleet;
  const rollback = { cause: data.cause, reason: data.reason, judgement: data.judgement, by: context.by };
  const ended = endRelease(fleet, data.release, { phase: 'rolled-back', endReason: data.reason, rollback }, context);
  if (release.phase !== 'completed') return ended;
  return withService(ended, release.service, { ...service, stable: release.from, stableSince: null });
}

/** Ends a release: no weight, no flags, and the service is free for the next one. */
function endRelease(fleet: FleetState, id: string, end: Partial<ReleaseState>, context: EventContext): FleetState {
  const next = withRelease(fleet, id, (release) => ({
    ...release,
    ...end,
    weightBp: 0,
    paused: null,
    held: null,
    endedAtMs: context.atMs,
  }));
  const release = own(next.releases, id);
  const service = release && own(next.services, release.service);
  if (!release || !service || service.active !== id) return next;
  return withService(next, release.service, { ...service, active: null });
}

function withService(fleet: FleetState, name: string, service: FleetState['services'][string]): FleetState {
  return { ...fleet, services: { ...fleet.services, [name]: service } };
}

function withRelease(fleet: FleetState, id: string, change: (release: ReleaseState) => ReleaseState): FleetState {
  const release = own(fleet.releases, id);
  return release ? { ...fleet, releases: { ...fleet.releases, [id]: change(release) } } : fleet;
}

import { type Judge, type Judgement, type Look, METHOD, type StableHistory } from '../analysis/judge.ts';
import { DavyError, type ErrorKind } from '../lib/error.ts';
import { noSuch } from '../lib/nearest.ts';
import { own } from '../lib/own.ts';
import { readableReason } from '../lib/reason.ts';
import type { PolicySpec, ServiceSpec } from '../spec/model.ts';
import type { Exposure } from '../traffic/dataplane.ts';
import { versionDigest } from './changed-versions.ts';
import { releaseErrors } from './errors.ts';
import type { ReleaseEvent, RollbackCause } from './events.ts';
import { judgeSetup } from './evolve.ts';
import { refuseHeld } from './hold-reason.ts';
import { activeRelease, type FleetState, isActive, type ReleaseState } from './state.ts';

/** The longest reason a person may give. */
const MAX_REASON_CHARS = 500;

export interface RequestCommand {
  service: ServiceSpec;
  policy: PolicySpec;
  version: string;
  reason: string;
  by: string;
  /** What stable did before, where it was watched. */
  history?: StableHistory | undefined;
  /** Replace another operator's release in flight. */
  supersede: boolean;
}

/** A person asks for a version. A release of the same service in flight is cancelled; the new one starts at 0. */
export function decideRequest(fleet: FleetState, command: RequestCommand): ReleaseEvent[] {
  const { service, version } = command;
  refuseHeld(fleet);
  const reason = checkReason(command.reason);
  const state = own(fleet.services, service.name);
  if (!state) throw unknownService(Object.keys(fleet.services), service.name);
  const declared = own(service.versions, version);
  if (!declared) throw unknownVersion(service, version);
  const current = activeRelease(fleet, service.name);
  if (current?.version === version) {
    throw refuse(releaseErrors['already-in-flight'], `${current.id} is releasing ${service.name} ${version} already.`);
  }
  if (!current && state.stable === version) {
    throw refuse(releaseErrors['already-stable'], `${version} is the stable version of ${service.name} already.`);
  }
  if (current && current.requestedBy !== command.by && !command.supersede) {
    throw refuse(
      releaseErrors['in-flight-by-another'],
      `${current.id} (${current.version}) by ${current.requestedBy} is in flight for ${service.name}.`,
    );
  }
  const release = `${service.name}-${state.count + 1}`;
  const events: ReleaseEvent[] = [];
  if (current) {
    const data = { release: current.id, reason: `replaced by ${release} (${version}): ${reason}` };
    events.push({ type: 'release.cancelled', data });
  }
  if (state.stable === version) return events;
  events.push({
    type: 'release.requested',
    data: {
      release,
      service: service.name,
      version,
      from: state.stable,
      policy: command.policy,
      method: METHOD,
      digest: versionDigest(declared),
      ...(command.history === undefined ? {} : { history: command.history }),
      startWithinMs: service.health.startWithinMs,
      reason,
    },
  });
  return events;
}

/** The canary's instances: the first step is taken when all are ready, or the release fails at its deadline. */
export function decideStart(
  release: ReleaseState,
  canary: { ready: number; wanted: number; problem: string | null },
  waitedMs: number,
): ReleaseEvent[] {
  if (release.phase !== 'requested' || release.paused) return [];
  const first = release.policy.steps[0];
  if (first && canary.wanted > 0 && canary.ready >= canary.wanted) {
    const reason = `${canary.ready} of ${canary.wanted} instances of ${release.version} are ready`;
    return [stepDecided(release, 0, 'started', reason, null)];
  }
  if (waitedMs < release.startWithinMs) return [];
  const seconds = Math.round(release.startWithinMs / 1000);
  const detail = canary.problem ? ` (${canary.problem})` : '';
  const reason = `${canary.ready} of ${canary.wanted} instances of ${release.version} were ready after ${seconds} s${detail}`;
  return [rollbackDecided(release, 'deadline', reason, null)];
}

/** One look of the judge: always its observation, and the decision that follows from it. */
export function decideLook(release: ReleaseState, look: Look, judge: Judge): ReleaseEvent[] {
  const events: ReleaseEvent[] = [{ type: 'release.observed', data: { release: release.id, looks: [look] } }];
  if (release.phase !== 'progressing' && release.phase !== 'watching') return events;
  const { judgement } = judge.look(judgeSetup(release), release.judge, look);
  return events.concat(follow(release, judgement));
}

function follow(release: ReleaseState, judgement: Judgement): ReleaseEvent[] {
  switch (judgement.verdict) {
    case 'rollback':
      return [rollbackDecided(release, judgement.speed ?? 'statistical', judgement.reason, judgement)];
    case 'pod-fault':
      return podFault(release, judgement);
    case 'hold':
    case 'inconclusive':
      return holdOnce(release, judgement);
    case 'continue':
      return clearHold(release);
    case 'advance':
      return release.paused ? clearHold(release) : advance(release, judgement);
  }
}

/** After the last step's watch the caller turns this into `completed`, because it needs the measured exposure. */
function advance(release: ReleaseState, judgement: Judgement): ReleaseEvent[] {
  const next = release.step + 1;
  if (next >= release.policy.steps.length) {
    const data = {
      release: release.id,
      service: release.service,
      stable: release.version,
      exposure: null,
      judgement,
    };
    return [{ type: 'release.completed', data }];
  }
  return [stepDecided(release, next, 'evidence', judgement.reason, judgement)];
}

function podFault(release: ReleaseState, judgement: Judgement): ReleaseEvent[] {
  const events = holdOnce(release, judgement);
  if (events.length > 0 && judgement.instance) {
    const data = { release: release.id, instance: judgement.instance, reason: judgement.reason };
    events.push({ type: 'release.instance.suspected', data });
  }
  return events;
}

/** What can be done about an instance at fault, in the order in which it is tried. */
export type InstanceFate = 'replaced' | 'removed' | 'kept';

/** What became of a suspected instance. Nothing when the release ended meanwhile. */
export function decideInstanceFate(
  fleet: FleetState,
  id: string,
  instance: string,
  fate: InstanceFate,
  reason: string,
): ReleaseEvent[] {
  const release = own(fleet.releases, id);
  if (!release || !isActive(release)) return [];
  return [{ type: `release.instance.${fate}`, data: { release: id, instance, reason } }];
}

function holdOnce(release: ReleaseState, judgement: Judgement): ReleaseEvent[] {
  if (release.held?.verdict === judgement.verdict) return [];
  const data = { release: release.id, verdict: judgement.verdict, reason: judgement.reason };
  return [{ type: 'release.held', data }];
}

function clearHold(release: ReleaseState): ReleaseEvent[] {
  return release.held ? [{ type: 'release.hold.cleared', data: { release: release.id } }] : [];
}

/** Lowering is unconditional: nothing but the release's own end can refuse it. */
export function decideRollback(fleet: FleetState, id: string, reason: string): ReleaseEvent[] {
  const release = findRelease(fleet, id);
  const text = checkReason(reason);
  if (release.phase === 'requested') return [{ type: 'release.cancelled', data: { release: id, reason: text } }];
  if (isActive(release)) return [rollbackDecided(release, 'operator', text, release.judgement)];
  if (release.phase !== 'completed') throw finished(release);
  const service = own(fleet.services, release.service);
  if (service?.stableSince !== id || service.active) {
    throw refuse(releaseErrors.superseded, `${id} is not what made ${service?.stable} the stable ${release.service}.`);
  }
  return [rollbackDecided(release, 'operator', text, release.judgement)];
}

export function decidePause(fleet: FleetState, id: string, reason: string): ReleaseEvent[] {
  const release = inFlight(fleet, id);
  if (release.paused)
    throw refuse(releaseErrors['already-paused'], `${id} is paused already: ${release.paused.reason}`);
  return [{ type: 'release.paused', data: { release: id, reason: checkReason(reason) } }];
}

export function decideResume(fleet: FleetState, id: string, reason: string): ReleaseEvent[] {
  const release = inFlight(fleet, id);
  if (!release.paused) throw refuse(releaseErrors['not-paused'], `${id} is not paused.`);
  return [{ type: 'release.resumed', data: { release: id, reason: checkReason(reason) } }];
}

/** A person raises the weight against or ahead of the evidence: one step, or straight to the watch at 100 %. */
export function decidePromote(
  fleet: FleetState,
  id: string,
  options: { reason: string; full: boolean; readyInstances: number },
): ReleaseEvent[] {
  refuseHeld(fleet);
  const release = inFlight(fleet, id);
  const reason = checkReason(options.reason);
  if (options.readyInstances === 0) {
    throw refuse(releaseErrors['not-ready'], `No instance of ${release.service} ${release.version} is ready.`);
  }
  const last = release.policy.steps.length - 1;
  if (release.step === last) {
    const { service, version, judgement } = release;
    return [{ type: 'release.completed', data: { release: id, service, stable: version, exposure: null, judgement } }];
  }
  return [stepDecided(release, options.full ? last : release.step + 1, 'person', reason, release.judgement)];
}

/** The traffic of a rolled-back release was measured to be 0. */
export function decideZeroConfirmed(
  release: ReleaseState,
  exposure: Exposure | null,
  open: number | null,
): ReleaseEvent[] {
  if (release.phase !== 'rolled-back' || release.zeroConfirmed) return [];
  const data = { release: release.id, exposure, secondsToZero: secondsToZero(exposure) };
  return [{ type: 'release.rolledback', data: open === null ? data : { ...data, open } }];
}

/** From the first failed canary request to the last one the canary received, as the data plane stamped them. */
function secondsToZero(exposure: Exposure | null): number | null {
  if (!exposure || exposure.firstFailureAtMs === null || exposure.lastRequestAtMs === null) return null;
  return Math.max(0, exposure.lastRequestAtMs - exposure.firstFailureAtMs) / 1000;
}

export function findRelease(fleet: FleetState, id: string): ReleaseState {
  const release = own(fleet.releases, id);
  if (release) return release;
  throw refuse(releaseErrors['unknown-release'], noSuch('release', id, Object.keys(fleet.releases)));
}

function inFlight(fleet: FleetState, id: string): ReleaseState {
  const release = findRelease(fleet, id);
  if (!isActive(release)) throw finished(release);
  return release;
}

function stepDecided(
  release: ReleaseState,
  step: number,
  why: 'started' | 'evidence' | 'person',
  reason: string,
  judgement: Judgement | null,
): ReleaseEvent {
  const weightBp = release.policy.steps[step]?.weightBp ?? 0;
  return { type: 'release.step.decided', data: { release: release.id, step, weightBp, why, reason, judgement } };
}

export function rollbackDecided(
  release: ReleaseState,
  cause: RollbackCause,
  reason: string,
  judgement: Judgement | null,
): Extract<ReleaseEvent, { type: 'release.rollback.decided' }> {
  return { type: 'release.rollback.decided', data: { release: release.id, cause, reason, judgement } };
}

export function checkReason(reason: string): string {
  const text = readableReason(reason);
  if (text.length <= MAX_REASON_CHARS) return text;
  const sentence = `The reason has ${text.length} characters; ${MAX_REASON_CHARS} are the limit.`;
  throw refuse(releaseErrors['reason-too-long'], sentence);
}

function finished(release: ReleaseState): DavyError {
  return refuse(releaseErrors.finished, `${release.id} has ended (${release.phase}).`);
}

export function unknownService(known: readonly string[], name: string): DavyError {
  return refuse(releaseErrors['unknown-service'], noSuch('service', name, known));
}

function unknownVersion(service: ServiceSpec, version: string): DavyError {
  const known = Object.keys(service.versions);
  return refuse(releaseErrors['unknown-version'], noSuch('version', version, known, `of ${service.name}`));
}

function refuse(kind: ErrorKind, sentence: string): DavyError {
  return new DavyError(kind, sentence);
}

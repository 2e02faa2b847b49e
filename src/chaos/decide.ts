import { DavyError } from '../lib/error.ts';
import { noSuch } from '../lib/nearest.ts';
import { own } from '../lib/own.ts';
import type { ChaosSpec } from '../spec/chaos-model.ts';
import { chaosErrors } from './errors.ts';
import type { ChaosEvent } from './events.ts';
import type { PlanRefusal, RunPlan } from './plan.ts';
import { frozenBy } from './schedule.ts';
import { type ChaosRun, type ChaosState, isOpen, mayBeInForce } from './state.ts';

/** What the world looks like when somebody wants to start. */
export interface StartContext {
  chaos: ChaosSpec;
  nowMs: number;
  /** Releases in flight, by id. */
  releases: string[];
}

/** Why this plan may not run now; null when it may. Order: what a person must clear first comes first. */
export function startProblem(state: ChaosState, plan: RunPlan | PlanRefusal, context: StartContext): DavyError | null {
  const dirty = dirtyRun(state);
  if (dirty) return new DavyError(chaosErrors.dirty, `${dirty.id} is DIRTY: ${dirty.dirty}.`);
  const frozen = frozenBy(context.chaos, context.nowMs);
  if (frozen !== null) return new DavyError(chaosErrors.frozen, `Nothing is rehearsed now (${frozen}).`);
  if ('sentence' in plan) return new DavyError(chaosErrors[plan.kind], plan.sentence);
  const { experiment } = plan;
  const other = Object.values(state.runs).find(
    (run) => isOpen(run) && run.plan.experiment.scope.service === experiment.scope.service,
  );
  if (other) {
    const sentence = `${other.id} (${other.plan.experiment.name}) hits ${experiment.scope.service} at the moment.`;
    return new DavyError(chaosErrors['run-in-progress'], sentence);
  }
  if (context.releases.length > 0 && !experiment.duringRelease) {
    const sentence = `${context.releases.join(', ')} is in flight, and ${experiment.name} must not run beside a release.`;
    return new DavyError(chaosErrors['release-in-progress'], sentence);
  }
  return null;
}

export function decidePlanned(
  state: ChaosState,
  plan: RunPlan,
  options: { reason: string; slotMs: number | null },
): ChaosEvent {
  return { type: 'chaos.planned', data: { run: `chaos-${state.count + 1}`, plan, ...options } };
}

export function decideClear(state: ChaosState, id: string, reason: string): ChaosEvent[] {
  const run = findRun(state, id);
  if (run.phase !== 'dirty') throw new DavyError(chaosErrors['not-dirty'], `${id} is ${run.phase}.`);
  return [{ type: 'chaos.cleared', data: { run: id, reason } }];
}

export function findRun(state: ChaosState, id: string): ChaosRun {
  const run = own(state.runs, id);
  if (!run) throw new DavyError(chaosErrors['unknown-run'], noSuch('chaos run', id, Object.keys(state.runs)));
  return run;
}

/** Runs whose fault was not shown to be gone, oldest first. */
export function dirtyRuns(state: ChaosState): ChaosRun[] {
  return Object.values(state.runs).filter((run) => run.phase === 'dirty');
}

function dirtyRun(state: ChaosState): ChaosRun | null {
  return dirtyRuns(state)[0] ?? null;
}

/** Why a weight must not be raised now; null when nothing speaks against it. */
export function raiseBlocked(state: ChaosState): string | null {
  const dirty = dirtyRun(state);
  return dirty && `${dirty.id} is DIRTY: ${dirty.dirty}; clear it with \`davy chaos clear ${dirty.id}\``;
}

/** Why a release of the service must not start now; null when it may. */
export function releaseBlocked(state: ChaosState, service: string): string | null {
  const run = Object.values(state.runs).find(
    (one) => mayBeInForce(one) && one.plan.experiment.scope.service === service && !one.plan.experiment.duringRelease,
  );
  return run ? `${run.id} (${run.plan.experiment.name}) hits ${service} at the moment` : raiseBlocked(state);
}

/** Alerts about this service, raised by a rehearsal, need nobody: from `armed` until the fault is shown to be gone. */
interface Silence {
  run: string;
  service: string;
  /** The end of the fault and the time that recovery may take; past it alerts count again whatever became of the run. */
  untilMs: number;
}

/** The silences in force: chaos opens them with the fault and closes them with its end. */
export function silences(state: ChaosState, nowMs: number): Silence[] {
  return Object.values(state.runs)
    .filter(mayBeInForce)
    .map((run) => {
      const { scope, durationMs, steadyMs, recoverWithinMs } = run.plan.experiment;
      const untilMs = run.plannedAtMs + steadyMs + durationMs + recoverWithinMs;
      return { run: run.id, service: scope.service, untilMs };
    })
    .filter(({ untilMs }) => untilMs > nowMs);
}

import type { Ledger } from '../ledger/ledger.ts';
import type { Actor } from '../ledger/record.ts';
import { sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Log } from '../lib/log.ts';
import { noSuch } from '../lib/nearest.ts';
import { own } from '../lib/own.ts';
import type { ChaosSpec, ExperimentSpec } from '../spec/chaos-model.ts';
import type { Spec } from '../spec/model.ts';
import {
  decideClear,
  decidePlanned,
  dirtyRuns,
  findRun,
  raiseBlocked,
  releaseBlocked,
  startProblem,
} from './decide.ts';
import { chaosErrors } from './errors.ts';
import type { RevertReason, SlotOutcome } from './events.ts';
import { executeRun, type RunParts } from './execute.ts';
import { revert } from './injection.ts';
import { type Candidate, type PlanRefusal, planRun, type RunPlan } from './plan.ts';
import { dueRun } from './schedule.ts';
import { type ChaosRun, type ChaosState, isOpen, mayBeInForce } from './state.ts';
import { createChaosStore } from './store.ts';
import { conclude } from './verdict.ts';

export interface ChaosParts extends Omit<RunParts, 'store'> {
  spec: Spec;
  ledger: Ledger;
  log: Log;
  /** Ids of the releases in flight. */
  releasesInFlight: () => string[];
  /** Share (0..1) of a service's requests that each version gets. */
  trafficShare: (service: string) => Record<string, number>;
  /** Random numbers 0 <= x < 1 from a 32-bit seed. */
  seeded: (seed: number) => () => number;
  /** A fresh 32-bit seed. */
  newSeed: () => number;
}

/** An experiment of the spec by its name, or one that is handed in. */
export type ExperimentRef = string | ExperimentSpec;

export interface Chaos {
  /** Replays: from then on `raiseBlocked` knows of a run that is DIRTY. */
  load(): Promise<void>;
  /** After `load`: reverts what an earlier controller left in force, and follows the schedules. */
  start(): Promise<void>;
  /** Reverts everything that is in force and waits until that is recorded. */
  stop(): Promise<void>;
  state(): ChaosState;
  experiments(): ExperimentSpec[];
  /** What a run would do now, and why it may not. Changes nothing. */
  check(ref: ExperimentRef, seed?: number): { plan: RunPlan | null; problem: DavyError | null };
  /** Starts a run and resolves once it is recorded; rejects with the reason why it may not start. */
  run(ref: ExperimentRef, options: { reason: string; seed?: number }, actor: Actor): Promise<ChaosRun>;
  /** Resolves when the run has its conclusion. */
  finished(id: string): Promise<ChaosRun>;
  /** Reverts one run or all; resolves when their faults are shown to be gone, and who asked is recorded. Returns their ids. */
  stopRuns(ids: string[] | 'all', reason: string, actor: Actor): Promise<string[]>;
  /** Runs whose fault was not shown to be gone. */
  dirty(): ChaosRun[];
  clear(id: string, reason: string, actor: Actor): Promise<ChaosRun>;
  /** Why no weight may be raised, and why no release of a service may start; null when they may. */
  raiseBlocked(): string | null;
  releaseBlocked(service: string): string | null;
  subscribe(listener: () => void): () => void;
}

const scheduleCheckMs = 1_000;
const scheduler: Actor = { kind: 'schedule', id: 'chaos' };
const noChaos: ChaosSpec = {
  limits: { instancesShare: 0.5, requestsShare: 0.5, minHealthy: 1 },
  freeze: [],
  experiments: {},
};

export function createChaos(parts: ChaosParts): Chaos {
  const { clock, log, ledger } = parts;
  const chaosSpec = parts.spec.chaos ?? noChaos;
  const store = createChaosStore({ ledger, nowMs: () => clock.nowMs(), log });
  const runParts: RunParts = { ...parts, store };
  const running = new Map<string, { stop: AbortController; done: Promise<void> }>();
  const ended = new AbortController();
  const consideredMs = new Map<string, number>();
  let scheduling: Promise<void> = Promise.resolve();

  function resolveRef(ref: ExperimentRef): ExperimentSpec {
    if (typeof ref !== 'string') return withKnownTargets(ref, parts.spec);
    const experiment = own(chaosSpec.experiments, ref);
    if (experiment) return experiment;
    const sentence = noSuch('experiment', ref, Object.keys(chaosSpec.experiments));
    throw new DavyError(chaosErrors['unknown-experiment'], sentence);
  }

  function plan(experiment: ExperimentSpec, seed: number): RunPlan | PlanRefusal {
    const trafficShare = parts.trafficShare(experiment.scope.service);
    const random = parts.seeded(seed);
    return planRun({ experiment, candidates: candidates(parts), trafficShare, limits: chaosSpec.limits, seed, random });
  }

  function problemOf(planned: RunPlan | PlanRefusal): DavyError | null {
    const context = { chaos: chaosSpec, nowMs: clock.nowMs(), releases: parts.releasesInFlight() };
    return startProblem(store.state(), planned, context);
  }

  async function start(
    ref: ExperimentRef,
    options: { reason: string; seed: number; slotMs: number | null },
    actor: Actor,
  ) {
    const planned = plan(resolveRef(ref), options.seed);
    // Checked inside the commit: two commands at once cannot both find the service free.
    const state = await store.commit((now) => {
      const problem = problemOf(planned);
      if (problem !== null || 'sentence' in planned) throw problem;
      return [decidePlanned(now, planned, { reason: options.reason, slotMs: options.slotMs })];
    }, actor);
    const run = findRun(state, `chaos-${state.count}`);
    launch(run);
    return run;
  }

  function launch(run: ChaosRun): void {
    const stop = new AbortController();
    const done = executeRun(run.id, run.plan, runParts, stop.signal)
      .catch((error) => log.error({ run: run.id, error: messageOf(error) }, 'a chaos run ended without a conclusion'))
      .finally(() => running.delete(run.id));
    running.set(run.id, { stop, done });
  }

  /** What an earlier controller left: whatever may be in force is reverted before anything else happens. */
  async function recoverRun(run: ChaosRun): Promise<void> {
    const evidence = {
      ...{
        injected: run.injectedAtMs !== null,
        before: [],
        during: [],
        after: [],
        report: null,
        control: null,
        recovery: [],
      },
      ...{
        steadyAfterMs: null,
        detectedAfterMs: null,
        revertReason: 'found-after-restart' as const,
        blindMs: 0,
        dirty: null,
        presence: null,
      },
      failure: null as string | null,
    };
    if (!mayBeInForce(run)) evidence.failure = `the controller ended while the run was ${run.phase}`;
    else {
      await store.commit(() => [{ type: 'chaos.reverting', data: { run: run.id, why: 'found-after-restart' } }]);
      const startMs = clock.monoMs();
      const problem = await revert(run.id, run.plan, runParts);
      const tookMs = clock.monoMs() - startMs;
      if (problem !== null) {
        await store.commit(() => [{ type: 'chaos.dirty', data: { run: run.id, why: problem } }]);
        return;
      }
      await store.commit(() => [{ type: 'chaos.reverted', data: { run: run.id, atMs: clock.nowMs(), tookMs } }]);
    }
    const conclusion = conclude(run.plan.experiment, evidence);
    await store.commit(() => [{ type: 'chaos.concluded', data: { run: run.id, conclusion } }]);
  }

  async function followSchedules(): Promise<void> {
    while (!ended.signal.aborted) {
      for (const experiment of Object.values(chaosSpec.experiments)) {
        await considerSlot(experiment).catch((error) =>
          log.error({ experiment: experiment.name, error: messageOf(error) }, 'a chaos slot could not be dealt with'),
        );
      }
      await sleep(clock, scheduleCheckMs, ended.signal).catch(() => {});
    }
  }

  async function considerSlot(experiment: ExperimentSpec): Promise<void> {
    if (!experiment.schedule) return;
    const known = own(store.state().slots, experiment.name)?.slotMs ?? consideredMs.get(experiment.name);
    // A schedule that is new begins with its next slot, not with one that passed before it was declared.
    if (known === undefined) return void consideredMs.set(experiment.name, clock.nowMs());
    const due = dueRun(experiment.schedule, known, clock.nowMs());
    if (!due) return;
    const outcome = await runSlot(experiment, due.slotMs);
    const data = { experiment: experiment.name, ...due, outcome };
    await store.commit(() => [{ type: 'chaos.slot.considered', data }], scheduler);
  }

  async function runSlot(experiment: ExperimentSpec, slotMs: number): Promise<SlotOutcome> {
    try {
      const options = { reason: `schedule of ${experiment.name}`, seed: parts.newSeed(), slotMs };
      return { kind: 'ran', run: (await start(experiment, options, scheduler)).id };
    } catch (error) {
      return { kind: 'refused', why: messageOf(error) };
    }
  }

  async function stopAll(ids: string[] | 'all', why: RevertReason): Promise<string[]> {
    const chosen = [...running.keys()].filter((id) => ids === 'all' || ids.includes(id));
    for (const id of chosen) running.get(id)?.stop.abort(why);
    await Promise.all(chosen.map((id) => running.get(id)?.done));
    return chosen;
  }

  return {
    load: () => store.load(),
    async start() {
      await Promise.all(Object.values(store.state().runs).filter(isOpen).map(recoverRun));
      scheduling = followSchedules();
    },
    async stop() {
      ended.abort();
      await scheduling;
      await stopAll('all', 'controller-ended');
    },
    state: () => store.state(),
    experiments: () => Object.values(chaosSpec.experiments),
    check(ref, seed = parts.newSeed()) {
      const planned = plan(resolveRef(ref), seed);
      return { plan: 'sentence' in planned ? null : planned, problem: problemOf(planned) };
    },
    run: (ref, { reason, seed = parts.newSeed() }, actor) => start(ref, { reason, seed, slotMs: null }, actor),
    async finished(id) {
      await running.get(id)?.done;
      return findRun(store.state(), id);
    },
    async stopRuns(ids, reason, actor) {
      if (ids !== 'all') for (const id of ids) findRun(store.state(), id);
      const chosen = [...running.keys()].filter((id) => ids === 'all' || ids.includes(id));
      // Asked for first, so that it stands before the end in the ledger; the end does not wait for the disk.
      const recorded = store.commit(
        () => chosen.map((run) => ({ type: 'chaos.stop.requested', data: { run, reason } })),
        actor,
      );
      const stopped = await stopAll(chosen, 'stopped');
      await recorded;
      return stopped;
    },
    clear: async (id, reason, actor) =>
      findRun(await store.commit((state) => decideClear(state, id, reason), actor), id),
    dirty: () => dirtyRuns(store.state()),
    raiseBlocked: () => raiseBlocked(store.state()),
    releaseBlocked: (service) => releaseBlocked(store.state(), service),
    subscribe: (listener) => store.subscribe(listener),
  };
}

/** `davy check` looks at those of the spec; an experiment that comes with a call is looked at here. */
function withKnownTargets(experiment: ExperimentSpec, { services }: Spec): ExperimentSpec {
  const { scope, probes } = experiment;
  for (const name of [scope.service, ...probes.flatMap((probe) => (probe.kind === 'gateway' ? [probe.service] : []))]) {
    if (!own(services, name)) throw unknownTarget('service', name, services);
  }
  const { versions = {} } = own(services, scope.service) ?? {};
  if (scope.version === null || own(versions, scope.version)) return experiment;
  throw unknownTarget('version', scope.version, versions, `of ${scope.service}`);
}

function unknownTarget(what: string, name: string, known: Record<string, unknown>, place?: string): DavyError {
  return new DavyError(chaosErrors['unknown-target'], noSuch(what, name, Object.keys(known), place));
}

function candidates({ workloads }: ChaosParts): Candidate[] {
  return workloads.list().map(({ id, service, version, zone, phase, pid }) => ({
    ...{ id, service, version, zone },
    ready: phase === 'ready',
    ours: pid !== null,
  }));
}

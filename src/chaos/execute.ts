import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';
import type { MetricsSource } from '../metrics/source.ts';
import type { HttpProbeSpec } from '../spec/chaos-model.ts';
import type { FaultPlane } from '../traffic/faults.ts';
import type { InstanceFaults } from '../workloads/faults.ts';
import type { Workloads } from '../workloads/workloads.ts';
import type { RevertReason } from './events.ts';
import { holdLease, inject, revert } from './injection.ts';
import { allHold, type Check, type Count, judgeCheck, sumCounts } from './observation.ts';
import { mergeChecks, type Observer, type Segment, startObserver } from './observer.ts';
import { isProcessFault, type RunPlan } from './plan.ts';
import { PresenceWatch } from './presence.ts';
import { type InstanceSight, noteSight, type SteadySample, steadyFrom } from './recovery.ts';
import type { ChaosStore } from './store.ts';
import { type ControlSlice, conclude, type Recovery, type RunEvidence } from './verdict.ts';

export interface RunParts {
  store: ChaosStore;
  faultPlane: FaultPlane;
  instances: InstanceFaults;
  workloads: Pick<Workloads, 'list' | 'subscribe'>;
  metrics: MetricsSource;
  ask: (probe: HttpProbeSpec) => Promise<boolean>;
  clock: Clock;
}

const stretchMs = 500;
/** The stop condition looks back over this. */
const stopWindowMs = 5_000;
const stopMinRequests = 10;
/** A fault whose effect nobody has seen for this long is ended: no data is never healthy. */
const blindMaxMs = 5_000;

/** Runs one planned experiment to its conclusion. `stop` aborts it with a RevertReason; the fault is reverted first. */
export async function executeRun(id: string, plan: RunPlan, parts: RunParts, stop: AbortSignal): Promise<void> {
  const { experiment } = plan;
  const isInScope = scopeOf(plan, parts.workloads);
  const observer = startObserver({ ...parts, experiment, untouched: plan.untouched, isInScope });
  try {
    const run = new Run(id, plan, parts, observer, stop);
    const evidence = await run.execute();
    await parts.store.commit(() => [
      { type: 'chaos.concluded', data: { run: id, conclusion: conclude(experiment, evidence) } },
    ]);
  } finally {
    await observer.close();
  }
}

class Run {
  readonly #id: string;
  readonly #plan: RunPlan;
  readonly #parts: RunParts;
  readonly #observer: Observer;
  readonly #stop: AbortSignal;
  readonly #sights = new Map<string, InstanceSight>();
  /** Looks since the fault's end: for a kill, which is over at once, since the kill. */
  readonly #samples: SteadySample[] = [];
  #recovery: Recovery[] = [];
  #detectedAtMs: number | null = null;
  /** First tries of each whole stretch of the fault. */
  readonly #sentInScope: (number | null)[] = [];
  #evidence: RunEvidence = {
    ...{ injected: false, before: [], during: [], after: [], report: null, control: null, recovery: [] },
    ...{ steadyAfterMs: null, detectedAfterMs: null, revertReason: null, blindMs: 0, dirty: null, failure: null },
    presence: null,
  };

  constructor(id: string, plan: RunPlan, parts: RunParts, observer: Observer, stop: AbortSignal) {
    this.#id = id;
    this.#plan = plan;
    this.#parts = parts;
    this.#observer = observer;
    this.#stop = stop;
  }

  async execute(): Promise<RunEvidence> {
    const { steadyMs } = this.#plan.experiment;
    await this.#observer.cut();
    await sleep(this.#parts.clock, steadyMs, this.#stop).catch(() => {});
    const before = await this.#observer.cut();
    this.#evidence.before = before.checks;
    if (this.#stop.aborted || allHold(before.checks) !== true) return this.#evidence;
    const unsubscribe = this.#parts.workloads.subscribe(() => this.#look());
    try {
      const injectedAtMs = await this.#injectAndHold(before);
      if (injectedAtMs !== null && this.#evidence.dirty === null) await this.#awaitSteady(injectedAtMs);
    } finally {
      unsubscribe();
    }
    return this.#evidence;
  }

  /** Returns when (wall clock) the fault came into force; null when it did not. */
  async #injectAndHold(before: Segment): Promise<number | null> {
    const { store, clock } = this.#parts;
    const { experiment } = this.#plan;
    const armed = { run: this.#id, service: experiment.scope.service, untilMs: clock.nowMs() + experiment.durationMs };
    await store.commit(() => [{ type: 'chaos.armed', data: armed }]);
    this.#rememberSights();
    const atMs = clock.nowMs();
    this.#recovery = isProcessFault(experiment.fault) ? this.#plan.targets.map((one) => freshRecovery(one, atMs)) : [];
    let why: RevertReason = 'failed';
    let presence: PresenceWatch | null = null;
    try {
      const hit = await inject(this.#id, this.#plan, this.#parts);
      const endMs = clock.monoMs() + experiment.durationMs;
      this.#evidence.injected = true;
      presence = new PresenceWatch(this.#id, this.#plan, hit, endMs, this.#parts);
      await store.commit(() => [{ type: 'chaos.injected', data: { run: this.#id, atMs } }]);
      why = await this.#hold(endMs, before, presence);
    } catch (error) {
      this.#evidence.failure = messageOf(error);
    }
    await this.#end(why, presence);
    return this.#evidence.injected ? atMs : null;
  }

  /** Keeps the lease alive and looks on, until the time is over, somebody ends it, or the stop condition is met. */
  async #hold(endMs: number, before: Segment, presence: PresenceWatch): Promise<RevertReason> {
    const { clock } = this.#parts;
    const over = new AbortController();
    const lease = holdLease(this.#id, this.#plan, endMs, this.#parts, over.signal);
    const stretches: Segment[] = [];
    let why: RevertReason = 'time';
    while (clock.monoMs() < endMs && why === 'time') {
      await sleep(clock, Math.min(stretchMs, endMs - clock.monoMs()), this.#stop).catch(() => {});
      await presence.look();
      const stretch = await this.#observer.cut();
      // Its first stretch began before the fault, and what was sent after its end was not to be hit.
      if (stretches.length > 0 && clock.monoMs() <= endMs) this.#sentInScope.push(stretch.sentInScope);
      stretches.push(stretch);
      this.#noteDetection(presence);
      if (this.#plan.experiment.fault.kind === 'kill') this.#sample(stretch.checks, clock.nowMs());
      why = this.#endOf(stretches, presence) ?? why;
    }
    over.abort();
    await lease;
    this.#evidence.blindMs = blindMsOf(stretches);
    this.#evidence.during = mergeChecks(stretches.map((stretch) => stretch.checks));
    this.#evidence.control = controlSlice(this.#plan, before, stretches);
    return why;
  }

  /** Why the fault is over before its time; null while it is not. */
  #endOf(stretches: readonly Segment[], presence: PresenceWatch): RevertReason | null {
    if (this.#stop.aborted) return this.#stop.reason as RevertReason;
    if (presence.lost !== null) return 'lost';
    if (this.#mustStop(stretches)) return 'stop-condition';
    return Math.max(blindMsOf(stretches), presence.unseenMs()) >= blindMaxMs ? 'no-data' : null;
  }

  #mustStop(stretches: readonly Segment[]): boolean {
    const { stopErrorShare } = this.#plan.experiment;
    if (stopErrorShare === null) return false;
    const { requests, bad } = sumCounts(stretches.slice(-stopWindowMs / stretchMs).map((stretch) => stretch.scope));
    return requests >= stopMinRequests && bad / requests >= stopErrorShare;
  }

  /** A fault of the traffic is noticed when the figures where it acts show it; one of a process when the instance drops out. */
  #noteDetection(presence: PresenceWatch): void {
    this.#look();
    if ((presence.report?.injected ?? 0) > 0) this.#detectedAtMs ??= this.#parts.clock.nowMs();
  }

  async #end(why: RevertReason, presence: PresenceWatch | null): Promise<void> {
    const { store, clock } = this.#parts;
    const startMs = clock.monoMs();
    await store.commit(() => [{ type: 'chaos.reverting', data: { run: this.#id, why } }]);
    const problem = await revert(this.#id, this.#plan, this.#parts);
    this.#evidence.revertReason = why;
    this.#evidence.dirty = problem;
    this.#evidence.presence = (await presence?.close(startMs, sumOfKnown(this.#sentInScope))) ?? null;
    this.#evidence.report = presence?.report ?? null;
    const tookMs = clock.monoMs() - startMs;
    await store.commit(() =>
      problem === null
        ? [{ type: 'chaos.reverted', data: { run: this.#id, atMs: clock.nowMs(), tookMs } }]
        : [{ type: 'chaos.dirty', data: { run: this.#id, why: problem } }],
    );
  }

  /** Looks on until the probes were good for long enough, at most for the time that recovery may take. */
  async #awaitSteady(injectedAtMs: number): Promise<void> {
    const { clock } = this.#parts;
    const { recoverWithinMs, steadyMs, fault } = this.#plan.experiment;
    const endedAtMs = fault.kind === 'kill' ? injectedAtMs : clock.nowMs();
    const deadlineMs = clock.monoMs() + recoverWithinMs + steadyMs;
    const stretches: Check[][] = [];
    let steadyAtMs = steadyFrom(this.#samples, steadyMs);
    await this.#observer.cut();
    while (steadyAtMs === null && clock.monoMs() < deadlineMs && !this.#stop.aborted) {
      const atMs = clock.nowMs();
      await sleep(clock, stretchMs, this.#stop).catch(() => {});
      const { checks } = await this.#observer.cut();
      this.#look();
      stretches.push(checks);
      this.#sample(checks, atMs);
      this.#sample(checks, clock.nowMs());
      steadyAtMs = steadyFrom(this.#samples, steadyMs);
    }
    this.#evidence.after = mergeChecks(stretches);
    this.#evidence.steadyAfterMs = steadyAtMs === null ? null : Math.max(0, steadyAtMs - endedAtMs);
    this.#evidence.recovery = this.#recovery;
    const detected = this.#detectedAtMs ?? latest(this.#recovery.map((one) => one.detectedAtMs));
    this.#evidence.detectedAfterMs = detected === null ? null : detected - injectedAtMs;
  }

  #sample(checks: readonly Check[], atMs: number): void {
    this.#samples.push({ atMs, good: this.#isGood(checks) });
  }

  /** In a short stretch a single request has to do. Killed instances must be back as well. */
  #isGood(checks: readonly Check[]): boolean | null {
    if (this.#recovery.some((one) => one.detectedAtMs !== null && one.readyAtMs === null)) return false;
    return allHold(checks.map((check) => judgeCheck({ ...check, minRequests: 1 }, check)));
  }

  #rememberSights(): void {
    for (const { id, phase, pid, restarts } of this.#parts.workloads.list()) {
      if (this.#plan.targets.includes(id)) this.#sights.set(id, { phase, pid, restarts });
    }
  }

  #look(): void {
    const atMs = this.#parts.clock.nowMs();
    const list = this.#parts.workloads.list();
    this.#recovery = this.#recovery.map((recovery) => {
      const before = this.#sights.get(recovery.instance);
      const now = list.find((one) => one.id === recovery.instance);
      return before && now ? noteSight(recovery, before, now, atMs) : recovery;
    });
  }
}

/** Which instances of the service are hit: those that the plan chose, or all of a version and a zone, later ones too. */
function scopeOf({ experiment, targets }: RunPlan, workloads: RunParts['workloads']) {
  const { version, zone, instances } = experiment.scope;
  const zoneOf = (id: string): string | null => workloads.list().find((one) => one.id === id)?.zone ?? null;
  return (id: string, itsVersion: string): boolean =>
    instances === null
      ? (version === null || itsVersion === version) && (zone === null || zoneOf(id) === zone)
      : targets.includes(id);
}

/** A reading that failed leaves its count to the next one; without any count nothing is known. */
function sumOfKnown(counts: readonly (number | null)[]): number | null {
  const known = counts.filter((count) => count !== null);
  return known.length === 0 ? null : known.reduce((sum, count) => sum + count, 0);
}

/** For how long, up to the end, the counters could not be read. */
function blindMsOf(stretches: readonly Segment[]): number {
  const seen = stretches.findLastIndex((stretch) => !stretch.blind);
  return (stretches.length - 1 - seen) * stretchMs;
}

function freshRecovery(instance: string, killedAtMs: number): Recovery {
  return { instance, killedAtMs, detectedAtMs: null, replacedAtMs: null, readyAtMs: null };
}

function latest(times: readonly (number | null)[]): number | null {
  return times.length === 0 || times.includes(null) ? null : Math.max(...(times as number[]));
}

function controlSlice(plan: RunPlan, before: Segment, stretches: readonly Segment[]): ControlSlice | null {
  const during = stretches.flatMap((stretch) => (stretch.control ? [stretch.control] : []));
  if (plan.untouched.length === 0 || during.length === 0) return null;
  const requests = during.reduce((sum, one) => sum + one.requests, 0);
  const known = during.filter((one) => one.p95Ms !== null);
  // Mean of the stretches' p95, weighted by requests: the counts of one stretch are enough for a quantile of their own.
  const weight = known.reduce((sum, one) => sum + one.requests, 0);
  const duringP95Ms = weight === 0 ? null : known.reduce((sum, one) => sum + one.p95Ms! * one.requests, 0) / weight;
  const beforeP95Ms = before.control?.p95Ms ?? null;
  const errorsDuring: Count = { requests, bad: during.reduce((sum, one) => sum + one.bad, 0) };
  const changeShare = beforeP95Ms === null || duringP95Ms === null ? null : duringP95Ms / beforeP95Ms - 1;
  return {
    what: `${plan.untouched.length} untouched instance(s)`,
    beforeP95Ms,
    duringP95Ms,
    changeShare,
    errorsDuring,
  };
}

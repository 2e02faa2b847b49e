import type { PolicySpec } from '../../spec/model.ts';
import { forgetInstance } from '../harm.ts';
import type { JudgeSetup, RollbackSpeed } from '../judge.ts';
import { beginStep, lookInto } from '../look.ts';
import { planOf } from '../plan.ts';
import { newState } from '../state.ts';
import { partMsOf } from '../sustained.ts';
import { plainRule } from './plain-rule.ts';
import { randomOf } from './random.ts';
import { type SimulatedTick, Traffic, type TrafficSetup } from './traffic.ts';

export interface ReleaseQuestion {
  policy: PolicySpec;
  traffic: TrafficSetup;
  guard: 'auto' | 'off';
}

/** How one simulated release ended. */
export interface ReleaseOutcome {
  end: 'promoted' | 'rolled-back' | 'inconclusive';
  speed: RollbackSpeed | null;
  atMs: number;
  /** Rolled back before the harm began, or without any. */
  falsely: boolean;
  /** Canary failures beyond stable's rate, until the end. */
  excessFailed: number;
  canaryRequests: number;
  /** Instances found at fault on the way. */
  instanceFaults: number;
}

export interface RunResult {
  davy: ReleaseOutcome;
  plain: ReleaseOutcome;
}

const LOOKS_PER_RELEASE = 3000;
const FINE_FOR_MS = 300_000;
const MIDDLE_FOR_MS = 3_600_000;
const MIDDLE_MS = 10_000;

/**
 * Length of a look while nothing happens: about 3,000 to a release, from the policy's own to one part of the sustained rule
 * (at most 30 s). Evidence adds up alike over longer looks and the sustained rule judges by parts, so nothing is rolled back
 * that the policy's own looks would not; what a longer look costs is delay, at most its own length.
 */
export function coarseLookMs(policy: PolicySpec): number {
  const total = policy.steps.reduce((sum, step) => sum + step.holdMs, 0);
  return Math.max(policy.lookMs, Math.min(partMsOf(policy.sustainedMs), total / LOOKS_PER_RELEASE));
}

/** Evidence adds up alike over long and short looks, so quiet hours take long ones and the time after the onset short ones. */
function lookLengthMs(policy: PolicySpec, onsetMs: number | null, atMs: number): number {
  const coarse = coarseLookMs(policy);
  if (onsetMs === null) return coarse;
  const since = atMs - onsetMs;
  if (since < 0) return Math.min(coarse, -since);
  if (since < FINE_FOR_MS) return Math.min(coarse, policy.lookMs);
  return since < MIDDLE_FOR_MS ? Math.min(coarse, Math.max(policy.lookMs, MIDDLE_MS)) : coarse;
}

function harmOnset({ traffic }: ReleaseQuestion): number | null {
  const { errorShare, slowdown, onsetMs } = traffic.scenario;
  return errorShare === null && slowdown === 1 ? null : onsetMs;
}

/** A rule that watches a release and moves it: the judge, or the plain thresholds. */
interface Watcher {
  weightBp(): number;
  /** The outcome, or null while the release goes on. */
  watch(seen: SimulatedTick, dtMs: number): Pick<ReleaseOutcome, 'end' | 'speed'> | null;
  instanceFaults: number;
}

/** One release under Davy's judge and under the plain threshold rule, on the same counts while their weights agree. */
export function simulateRelease(question: ReleaseQuestion, seed: number): RunResult {
  const traffic = new Traffic(question.traffic, randomOf(seed));
  const onsetMs = harmOnset(question);
  const lanes = [davyWatcher(question), plainWatcher(question)].map((watcher) => ({
    watcher,
    excessFailed: 0,
    canaryRequests: 0,
    outcome: null as ReleaseOutcome | null,
  }));
  for (let atMs = 0; lanes.some((lane) => lane.outcome === null); ) {
    const dtMs = lookLengthMs(question.policy, onsetMs, atMs);
    atMs += dtMs;
    traffic.pass(dtMs);
    let seen: SimulatedTick | null = null;
    let seenAt = -1;
    for (const lane of lanes) {
      if (lane.outcome !== null) continue;
      const weightBp = lane.watcher.weightBp();
      if (seen === null || seenAt !== weightBp) seen = traffic.count(weightBp / 10_000);
      seenAt = weightBp;
      lane.excessFailed += seen.canaryErrors - seen.canaryRequests * seen.baseShare;
      lane.canaryRequests += seen.canaryRequests;
      const ended = lane.watcher.watch(seen, dtMs);
      if (ended === null) continue;
      const { watcher, canaryRequests } = lane;
      lane.outcome = {
        ...ended,
        atMs,
        falsely: ended.end === 'rolled-back' && (onsetMs === null || atMs <= onsetMs),
        excessFailed: Math.max(0, lane.excessFailed),
        canaryRequests,
        instanceFaults: watcher.instanceFaults,
      };
    }
  }
  return { davy: lanes[0]!.outcome!, plain: lanes[1]!.outcome! };
}

function davyWatcher({ policy, traffic, guard }: ReleaseQuestion): Watcher {
  const setup: JudgeSetup = { policy, stable: traffic.stable, canary: traffic.canary, guard };
  const plan = { ...planOf(setup), gapMs: Math.max(coarseLookMs(policy), 10 * policy.lookMs) };
  const state = newState(setup, plan);
  let step = 0;
  return {
    instanceFaults: 0,
    weightBp: () => policy.steps[step]!.weightBp,
    watch({ tick }, dtMs) {
      const { weightBp } = policy.steps[step]!;
      const found = lookInto(state, setup, plan, { dtMs, tick, stepIndex: step, weightBp });
      if (found.verdict === 'rollback') return { end: 'rolled-back', speed: found.speed };
      if (found.verdict === 'inconclusive') return { end: 'inconclusive', speed: null };
      if (found.verdict === 'pod-fault') {
        this.instanceFaults++;
        if (found.instance !== null) forgetInstance(state, found.instance);
      }
      if (found.verdict !== 'advance') return null;
      if (++step === policy.steps.length) return { end: 'promoted', speed: null };
      beginStep(state, plan, step);
      return null;
    },
  };
}

function plainWatcher({ policy, traffic }: ReleaseQuestion): Watcher {
  const rule = plainRule(policy, traffic);
  return {
    instanceFaults: 0,
    weightBp: rule.weightBp,
    watch({ tick }, dtMs) {
      const verdict = rule.look(tick, dtMs);
      if (verdict === 'continue') return null;
      return verdict === 'promoted' ? { end: 'promoted', speed: null } : { end: 'rolled-back', speed: 'sustained' };
    },
  };
}

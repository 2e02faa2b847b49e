import type { PolicySpec } from '../../spec/model.ts';
import type { JudgeSetup, RollbackSpeed } from '../judge.ts';
import { beginStep, lookInto } from '../look.ts';
import { planOf } from '../plan.ts';
import { newState } from '../state.ts';
import { type PlainVerdict, plainRule } from './plain-rule.ts';
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

const COARSE_MS = 60_000;
const LOOKS_PER_RELEASE = 3000;
const FINE_FOR_MS = 300_000;
const MIDDLE_FOR_MS = 3_600_000;
const MIDDLE_MS = 10_000;

/** Evidence adds up alike over long and short looks, so quiet hours take long ones and the time after the onset short ones. */
export function lookLengthMs(policy: PolicySpec, onsetMs: number | null, atMs: number): number {
  const total = policy.steps.reduce((sum, step) => sum + step.holdMs, 0);
  const coarse = Math.max(policy.lookMs, Math.min(COARSE_MS, total / LOOKS_PER_RELEASE));
  if (onsetMs === null) return coarse;
  const since = atMs - onsetMs;
  if (since < 0) return Math.min(coarse, -since);
  if (since < FINE_FOR_MS) return Math.min(coarse, policy.lookMs);
  return since < MIDDLE_FOR_MS ? Math.min(coarse, Math.max(policy.lookMs, MIDDLE_MS)) : coarse;
}

/** One release under Davy's judge and, on traffic of its own from the same seed, under the plain threshold rule. */
export function simulateRelease(question: ReleaseQuestion, seed: number): RunResult {
  return { davy: runDavy(question, seed), plain: runPlain(question, seed) };
}

function harmOnset({ traffic }: ReleaseQuestion): number | null {
  const { errorShare, slowdown, onsetMs } = traffic.scenario;
  return errorShare === null && slowdown === 1 ? null : onsetMs;
}

/** What both rules share: the clock, the counts and the way to an outcome. */
class Run {
  readonly traffic: Traffic;
  readonly onsetMs: number | null;
  atMs = 0;
  excessFailed = 0;
  canaryRequests = 0;
  instanceFaults = 0;
  private readonly policy: PolicySpec;

  constructor(question: ReleaseQuestion, seed: number) {
    this.traffic = new Traffic(question.traffic, randomOf(seed));
    this.onsetMs = harmOnset(question);
    this.policy = question.policy;
  }

  next(weightBp: number): { seen: SimulatedTick; dtMs: number } {
    const dtMs = lookLengthMs(this.policy, this.onsetMs, this.atMs);
    const seen = this.traffic.advance(dtMs, weightBp / 10_000);
    this.atMs += dtMs;
    this.excessFailed += seen.canaryErrors - seen.canaryRequests * seen.baseShare;
    this.canaryRequests += seen.canaryRequests;
    return { seen, dtMs };
  }

  end(end: ReleaseOutcome['end'], speed: RollbackSpeed | null): ReleaseOutcome {
    const { atMs, onsetMs, canaryRequests, instanceFaults } = this;
    const falsely = end === 'rolled-back' && (onsetMs === null || atMs <= onsetMs);
    const excessFailed = Math.max(0, this.excessFailed);
    return { end, speed, atMs, falsely, excessFailed, canaryRequests, instanceFaults };
  }
}

function runDavy(question: ReleaseQuestion, seed: number): ReleaseOutcome {
  const { policy, traffic, guard } = question;
  const setup: JudgeSetup = { policy, stable: traffic.stable, canary: traffic.canary, guard };
  const plan = { ...planOf(setup), gapMs: Math.max(COARSE_MS, 10 * policy.lookMs) };
  const state = newState(setup, plan);
  const run = new Run(question, seed);
  let step = 0;
  for (;;) {
    const { weightBp } = policy.steps[step]!;
    const { seen, dtMs } = run.next(weightBp);
    const found = lookInto(state, setup, plan, { dtMs, tick: seen.tick, stepIndex: step, weightBp });
    if (found.verdict === 'rollback') return run.end('rolled-back', found.speed);
    if (found.verdict === 'inconclusive') return run.end('inconclusive', null);
    if (found.verdict === 'pod-fault') run.instanceFaults++;
    if (found.verdict !== 'advance') continue;
    if (++step === policy.steps.length) return run.end('promoted', null);
    beginStep(state, plan, step);
  }
}

function runPlain(question: ReleaseQuestion, seed: number): ReleaseOutcome {
  const { policy, traffic } = question;
  const run = new Run(question, seed);
  const rule = plainRule(policy, traffic);
  for (;;) {
    const { seen, dtMs } = run.next(rule.weightBp());
    const verdict: PlainVerdict = rule.look(seen.tick, dtMs);
    if (verdict === 'rollback') return run.end('rolled-back', 'sustained');
    if (verdict === 'promoted') return run.end('promoted', null);
  }
}

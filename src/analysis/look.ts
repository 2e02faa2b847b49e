import { type Arms, addArm, armsOf, emptyArm } from './arms.ts';
import type { Assessment, Promotion, Why } from './assessment.ts';
import { evidenceHarm, instantHarm } from './harm.ts';
import type { JudgeSetup, Look, RollbackSpeed, Verdict } from './judge.ts';
import { type Broken, watchLimits } from './limits.ts';
import { evidence } from './mixture.ts';
import { type Plan, stepOf } from './plan.ts';
import { activeGroups, fade } from './pods.ts';
import { assessPromotion } from './promotion.ts';
import { newSafe } from './safe.ts';
import { newSums, type State } from './state.ts';
import { adoptEdges, passTime, SILENCE_FROM, takeTick } from './step.ts';
import { newSustained } from './sustained.ts';
import { problemOf } from './validate-tick.ts';
import { comparable, hasControl, type Weighed, weigh } from './weigh.ts';

/** Looks without a single canary request, while stable has some, before the canary counts as unobservable. */
const SILENT_LOOKS = 3;
const PLACEBO_UNSTABLE = 20;
const SPLIT_OK_BELOW = 20;
/** Below this the evidence is not rising: the counts that explain a rise start afresh. */
const AT_REST = 1.5;

/** A new step: evidence of harm stays, proof of safety and the hold start afresh, and some reserve goes in. */
export function beginStep(s: State, plan: Plan, step: number): void {
  s.step = step;
  s.heldMs = 0;
  s.elapsedMs = 0;
  s.looks = 0;
  s.canarySilent = 0;
  s.stableSilent = 0;
  s.boost = true;
  s.safe = { ...newSafe(), latency: (s.choice?.gates ?? []).map(() => newSafe().errors) };
  s.sustained = newSustained(1 + plan.quantiles.length);
  s.instant = [];
  s.sums = newSums(s.edges?.length ?? 0);
}

/** One look, written into `s`. */
export function lookInto(s: State, setup: JudgeSetup, plan: Plan, look: Look): Assessment {
  if (look.stepIndex !== s.step) beginStep(s, plan, look.stepIndex);
  const dtMs = countedMs(look.dtMs, plan.gapMs);
  const control = hasControl(look.weightBp);
  s.elapsedMs += dtMs;
  const first = s.looks === 0;
  s.looks++;
  passTime(s, plan, dtMs);
  fade(s.pods, dtMs);
  const problem = problemWith(s, look);
  if (problem !== null) return blind(s, plan, dtMs, control, first, problem);
  const tick = look.tick!;
  s.lastT = tick.t + 0; // -0 is not JSON
  adoptEdges(s, setup, tick);
  const arms = armsOf(tick, plan.stable, plan.canary, plan.policy.warmupMs, s.pods, s.choice?.gates[0] ?? -1);
  noteSilence(s, look, arms);
  if (s.canarySilent >= SILENT_LOOKS) return canarySilent(s, plan, dtMs, control);
  if (arms.canaryTotal > 0 || arms.stableTotal === 0) s.blindMs = 0;
  return seen(s, plan, look, arms, Math.min(dtMs, countedMs(tick.dtMs, plan.gapMs)), control);
}

/** Time is counted only as far as it makes sense: an odd or huge interval proves nothing. */
function countedMs(dtMs: number, gapMs: number): number {
  return Number.isFinite(dtMs) && dtMs > 0 ? Math.min(dtMs, gapMs) : 0;
}

function problemWith(s: State, look: Look): string | null {
  if (!Number.isFinite(look.weightBp) || look.weightBp < 0 || look.weightBp > 10_000) {
    return `the weight is ${look.weightBp} basis points`;
  }
  if (look.tick === null || look.tick === undefined) return look.problem ?? 'the source gave nothing';
  const problem = problemOf(look.tick, { lastT: s.lastT, edges: s.edges });
  // A clock that stepped back costs one look, not the release.
  if (problem !== null && Number.isFinite(look.tick.t)) s.lastT = look.tick.t + 0;
  return problem;
}

function blind(s: State, plan: Plan, dtMs: number, control: boolean, first: boolean, problem: string): Assessment {
  if (first && s.blindMs === 0) return conclude(s, plan, control, 'continue', { kind: 'counting-starts', problem });
  s.blindMs += dtMs;
  const over = s.blindMs >= plan.policy.noData.holdMs && plan.policy.noData.then === 'rollback';
  const why: Why = { kind: 'no-data', problem, blindMs: s.blindMs, rolledBack: over };
  if (over) return conclude(s, plan, control, 'rollback', why, 'no-data');
  return lateOr(s, plan, control, 'usable metrics') ?? conclude(s, plan, control, 'hold', why);
}

function canarySilent(s: State, plan: Plan, dtMs: number, control: boolean): Assessment {
  s.blindMs += dtMs;
  const over = s.blindMs >= plan.policy.noData.holdMs && plan.policy.noData.then === 'rollback';
  const why: Why = { kind: 'canary-silent', blindMs: s.blindMs, looks: s.canarySilent, rolledBack: over };
  if (over) return conclude(s, plan, control, 'rollback', why, 'no-data');
  return lateOr(s, plan, control, 'requests on the canary') ?? conclude(s, plan, control, 'hold', why);
}

function noteSilence(s: State, look: Look, arms: Arms): void {
  // Where a few requests a look are expected, none is chance: leaving such looks out would shift the share.
  const expected = (arms.stableTotal * look.weightBp) / Math.max(1, 10_000 - look.weightBp);
  const silent = arms.canaryTotal === 0 && expected * SILENT_LOOKS >= SILENCE_FROM;
  s.canarySilent = silent ? s.canarySilent + 1 : 0;
  s.stableSilent = arms.stableTotal === 0 && arms.canaryTotal > 0 && hasControl(look.weightBp) ? s.stableSilent + 1 : 0;
}

function seen(s: State, plan: Plan, look: Look, arms: Arms, dtMs: number, control: boolean): Assessment {
  const guarded = plan.guard === 'auto' && activeGroups(s.pods) >= 2;
  if (arms.canary.n > 0) {
    if (s.warming) s.boost = true;
    s.warming = false;
  } else if (arms.young.n > 0) s.warming = true;
  takeTick(s, plan, look, arms, control, guarded, dtMs);
  if (control ? comparable(arms) : arms.canary.n > 0) s.heldMs += dtMs;
  count(s, arms, dtMs);
  const weighed = weigh(s, plan, control, guarded);
  if (weighed.total <= AT_REST) s.rise = newSums(s.edges!.length);
  const harm = instantHarm(s, plan, arms, dtMs, control, guarded) ?? evidenceHarm(s, plan, weighed);
  const broken = watchLimits(s, plan, arms, dtMs, control);
  if (harm !== null && harm.verdict !== 'hold') {
    return conclude(s, plan, control, harm.verdict, harm.why, harm.speed, weighed, harm.instance);
  }
  if (broken !== null && !broken.shared)
    return conclude(s, plan, control, 'rollback', broken.why, 'sustained', weighed);
  const held = harm?.why ?? reasonToHold(s, plan, weighed, broken);
  if (held !== null) {
    const late = lateOr(s, plan, control, 'a calm environment', weighed);
    return late ?? conclude(s, plan, control, 'hold', held, null, weighed);
  }
  return calm(s, plan, arms, control, weighed);
}

function count(s: State, arms: Arms, dtMs: number): void {
  for (const sums of [s.sums, s.rise]) {
    sums.ms += dtMs;
    addArm(sums.canary, arms.canary);
    addArm(sums.stable, arms.stable);
  }
  const { groups } = s.rise;
  arms.groups.forEach((arm, g) => {
    groups[g] ??= emptyArm(arm.over.length);
    addArm(groups[g], arm);
  });
}

/** Nothing speaks against the release: is it proven, or is time up? */
function calm(s: State, plan: Plan, arms: Arms, control: boolean, weighed: Weighed): Assessment {
  const promotion = assessPromotion(s, plan, control);
  const step = stepOf(plan, s.step);
  const splitOk = !control || evidence(s.split, s.reserve) < SPLIT_OK_BELOW;
  if (promotion.passed && splitOk && s.heldMs >= step.holdMs) {
    return conclude(s, plan, control, 'advance', { kind: 'safe' }, null, weighed, null, promotion);
  }
  const waiting = promotion.missing ?? (splitOk ? 'the rest of the hold' : 'a split that matches the weight');
  const late = lateOr(s, plan, control, waiting, weighed);
  if (late !== null) return late;
  return conclude(s, plan, control, 'continue', whyContinue(arms, waiting), null, weighed, null, promotion);
}

function whyContinue(arms: Arms, waiting: string): Why {
  if (arms.canaryTotal === 0 && arms.stableTotal === 0) return { kind: 'no-traffic' };
  if (arms.canary.n === 0 && arms.young.n > 0) return { kind: 'warming-up' };
  return { kind: 'waiting', waiting };
}

function reasonToHold(s: State, plan: Plan, weighed: Weighed, broken: Broken | null): Why | null {
  if (broken !== null) return { kind: 'shared', limits: [broken.why.limit] };
  if (weighed.shared.length > 0) return { kind: 'shared', limits: weighed.shared };
  if (s.stableSilent >= SILENT_LOOKS) return { kind: 'stable-silent', looks: s.stableSilent };
  const placebo = placeboEvidence(s);
  if (placebo >= PLACEBO_UNSTABLE) return { kind: 'placebo', evidence: placebo };
  const load = evidence(s.total.test, s.reserve);
  return load >= plan.threshold ? { kind: 'load-drop', evidence: load } : null;
}

function placeboEvidence(s: State): number {
  const errors = evidence(s.placebo.errors, s.reserve);
  return s.placebo.latency.s.length === 0 ? errors : (errors + evidence(s.placebo.latency, s.reserve)) / 2;
}

/** The step ran out of time: what the policy says for that; null while there is time. */
function lateOr(s: State, plan: Plan, control: boolean, waiting: string, weighed?: Weighed): Assessment | null {
  const { holdMs, then } = plan.policy.inconclusive;
  if (s.elapsedMs < stepOf(plan, s.step).holdMs + holdMs) return null;
  const why: Why = { kind: 'inconclusive', waiting, rolledBack: then === 'rollback' };
  if (then === 'rollback') return conclude(s, plan, control, 'rollback', why, 'no-data', weighed);
  return conclude(s, plan, control, 'inconclusive', why, null, weighed);
}

function conclude(
  s: State,
  plan: Plan,
  control: boolean,
  verdict: Verdict,
  why: Why,
  speed: RollbackSpeed | null = null,
  weighed?: Weighed,
  instance: string | null = null,
  promotion?: Promotion,
): Assessment {
  const found = weighed ?? weigh(s, plan, control, false);
  const promote = promotion ?? assessPromotion(s, plan, control);
  return { verdict, speed, why, total: found.total, metrics: found.metrics, promote, instance };
}

import { growAges, rememberOld } from './ages.ts';
import { type Arms, addArm, armsOf, dealtOf, emptyArm } from './arms.ts';
import type { Assessment, Promotion, Why } from './assessment.ts';
import { chooseFor } from './choose.ts';
import { COOLING_WARMUPS, stillCooling } from './cooling.ts';
import { SILENCE_FROM } from './evidence.ts';
import { evidenceHarm, grossHarm, instantHarm } from './harm.ts';
import type { JudgeSetup, Look, RollbackSpeed, Verdict } from './judge.ts';
import { type Broken, watchLimits } from './limits.ts';
import { evidence, restart } from './mixture.ts';
import { type Plan, stepOf } from './plan.ts';
import { activeGroups, fade } from './pods.ts';
import { assessPromotion } from './promotion.ts';
import { freshSafe } from './safe.ts';
import { newSums, type State } from './state.ts';
import { adoptEdges, passTime, takeTick } from './step.ts';
import { newSustained } from './sustained.ts';
import { problemOf } from './validate-tick.ts';
import { comparable, hasControl, type Weighed, weigh } from './weigh.ts';

/** Looks without a single canary request, while stable has some, before the canary counts as unobservable. */
const SILENT_LOOKS = 3;
/** Looks at the start of a step in which its weight may not be in force yet. */
const SETTLING_LOOKS = 2;
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
  s.boost = s.looks > 0 || s.ageMs > 0;
  s.pairing = null;
  if (s.ageMs > 0) chooseFor(s);
  s.safe = freshSafe(s.choice?.gates.length ?? 0);
  s.sustained = newSustained(1 + plan.quantiles.length);
  s.instant = [];
  s.gross = [];
  s.sums = newSums(s.edges?.length ?? 0);
}

/** One look, written into `s`. */
export function lookInto(s: State, setup: JudgeSetup, plan: Plan, look: Look): Assessment {
  if (look.stepIndex !== s.step) beginStep(s, plan, look.stepIndex);
  const dtMs = countedMs(look.dtMs, plan.gapMs);
  const control = hasControl(look.weightBp);
  if (look.paused !== true) s.elapsedMs += dtMs;
  const first = s.looks === 0;
  s.looks++;
  passTime(s, plan, dtMs);
  fade(s.pods, dtMs);
  const problem = problemWith(s, look);
  if (problem !== null) return blind(s, plan, look, dtMs, first, problem);
  const tick = look.tick!;
  s.lastT = tick.t + 0; // -0 is not JSON
  if (s.youngestMs !== null) s.youngestMs += dtMs;
  if (s.edges === null) rememberOld(s.ages, tick, plan.stable);
  adoptEdges(s, setup, tick);
  growAges(s.ages, tick, dtMs);
  const { stable, canary, policy } = plan;
  const slowEdge = s.choice?.gates[0] ?? -1;
  const arms = armsOf(tick, { stable, canary, warmupMs: policy.warmupMs, slowEdge }, s.pods, s.ages);
  noteSilence(s, look, arms);
  if (s.canarySilent >= SILENT_LOOKS) return canarySilent(s, plan, look, dtMs);
  if (look.unconfirmed === undefined && (arms.canary.sent > 0 || arms.stable.sent === 0)) s.blindMs = 0;
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

function blind(s: State, plan: Plan, look: Look, dtMs: number, first: boolean, problem: string): Assessment {
  if (first && s.blindMs === 0) return conclude(s, plan, look, 'continue', { kind: 'counting-starts', problem });
  s.blindMs += dtMs;
  const over = s.blindMs >= plan.policy.noData.holdMs && plan.policy.noData.then === 'rollback';
  const why: Why = { kind: 'no-data', problem, blindMs: s.blindMs, rolledBack: over };
  if (over) return conclude(s, plan, look, 'rollback', why, 'no-data');
  return lateOr(s, plan, look, 'usable metrics') ?? conclude(s, plan, look, 'hold', why);
}

function canarySilent(s: State, plan: Plan, look: Look, dtMs: number): Assessment {
  s.blindMs += dtMs;
  const over = s.blindMs >= plan.policy.noData.holdMs && plan.policy.noData.then === 'rollback';
  const why: Why = { kind: 'canary-silent', blindMs: s.blindMs, looks: s.canarySilent, rolledBack: over };
  if (over) return conclude(s, plan, look, 'rollback', why, 'no-data');
  return lateOr(s, plan, look, 'requests on the canary') ?? conclude(s, plan, look, 'hold', why);
}

function noteSilence(s: State, look: Look, arms: Arms): void {
  s.unanswered = arms.unanswered;
  s.canarySilent =
    arms.canary.sent === 0 && missing(look, arms) * SILENT_LOOKS >= SILENCE_FROM ? s.canarySilent + 1 : 0;
  const ofStable = (arms.canary.sent * (10_000 - look.weightBp)) / Math.max(1, look.weightBp);
  const alone = arms.stable.sent === 0 && ofStable * SILENT_LOOKS >= SILENCE_FROM && hasControl(look.weightBp);
  s.stableSilent = alone ? s.stableSilent + 1 : 0;
}

/**
 * How many requests or clients a canary without any should have had. Where a few a look are expected, none is chance: leaving such looks
 * out would shift the share. Clients keep their place, so none of theirs may be the canary's for hours: only the ones that are
 * dealt now can be missing, and the requests that its clients sent and stable had to serve.
 */
function missing(look: Look, arms: Arms): number {
  const { canary, stable } = dealtOf(arms);
  const expected = canary > 0 ? 0 : (stable * look.weightBp) / Math.max(1, 10_000 - look.weightBp);
  return Math.max(expected, arms.clients?.diverted ?? 0);
}

function seen(s: State, plan: Plan, look: Look, arms: Arms, dtMs: number, control: boolean): Assessment {
  const guarded = plan.guard === 'auto' && activeGroups(s.pods) >= 2;
  takeTick(s, plan, look, arms, control, guarded, dtMs);
  settle(s, arms);
  if (look.paused !== true && look.unconfirmed === undefined && (control ? comparable(arms) : arms.canary.n > 0))
    s.heldMs += dtMs;
  count(s, arms, dtMs);
  const weighed = weigh(s, plan, control, guarded);
  if (weighed.total <= AT_REST) s.rise = newSums(s.edges!.length);
  const harm =
    instantHarm(s, plan, arms, dtMs, control, guarded) ??
    grossHarm(s, plan, arms, dtMs, control, guarded) ??
    evidenceHarm(s, plan, weighed);
  const broken = watchLimits(s, plan, arms, dtMs, control, guarded);
  if (look.unconfirmed !== undefined && !rollsBack(harm, broken)) {
    return blind(s, plan, look, dtMs, s.looks <= SETTLING_LOOKS, look.unconfirmed);
  }
  const cold = coldStart(s, plan, harm, broken, weighed);
  if (cold !== null) return conclude(s, plan, look, 'hold', cold, null, weighed);
  if (harm !== null && harm.verdict !== 'hold') {
    return conclude(s, plan, look, harm.verdict, harm.why, harm.speed, weighed, harm.instance);
  }
  if (broken !== null && broken.blame === 'canary')
    return conclude(s, plan, look, 'rollback', broken.why, 'sustained', weighed);
  if (broken !== null && broken.blame === 'instance')
    return conclude(s, plan, look, 'pod-fault', broken.why, null, weighed, broken.instance);
  const held = harm?.why ?? reasonToHold(s, plan, weighed, broken);
  if (held !== null) {
    const late = lateOr(s, plan, look, 'a calm environment', weighed);
    return late ?? conclude(s, plan, look, 'hold', held, null, weighed);
  }
  return calm(s, plan, look, arms, weighed);
}

function rollsBack(harm: ReturnType<typeof evidenceHarm>, broken: Broken | null): boolean {
  return harm?.verdict === 'rollback' || broken?.blame === 'canary';
}

/** The warm-up ends: what latency evidence there is counts, unless the canary still gets quicker. */
function settle(s: State, arms: Arms): void {
  if (arms.youngestMs === null) return;
  s.youngestMs = arms.youngestMs;
  const ended = s.warming && !arms.warming;
  s.warming = arms.warming;
  if (ended && stillCooling(s.cooling, s.choice?.tested ?? [])) restartLatency(s);
}

function restartLatency(s: State): void {
  for (const m of [s.latency, ...s.absoluteLatency]) restart(m, 1 - s.reserve);
}

/**
 * Latency that would roll back, but may be a cold start: the canary is still warming up, or young and getting quicker. What
 * is at stake besides latency (errors, limits on errors, one instance) is none of this rule's business.
 */
function coldStart(
  s: State,
  plan: Plan,
  harm: ReturnType<typeof evidenceHarm>,
  broken: Broken | null,
  weighed: Weighed,
): Why | null {
  const { warmupMs } = plan.policy;
  if (warmupMs <= 0 || s.youngestMs === null || s.youngestMs > COOLING_WARMUPS * warmupMs) return null;
  const byEvidence = harm !== null && harm.speed !== 'instant' && harm.why.kind !== 'instance-instant';
  if (harm !== null && (!byEvidence || weighed.withoutLatency >= plan.threshold)) return null;
  const bySustained =
    broken !== null &&
    (broken.blame === 'canary' || broken.blame === 'instance') &&
    broken.why.limit !== 'absolute-errors';
  if (harm === null && !bySustained) return null;
  if (!s.warming && !stillCooling(s.cooling, s.choice?.tested ?? [])) return null;
  if (!s.warming) restartLatency(s);
  s.sustained = newSustained(1 + plan.quantiles.length);
  return { kind: 'cold-start', youngestMs: s.youngestMs, warming: s.warming };
}

function count(s: State, arms: Arms, dtMs: number): void {
  const dealt = dealtOf(arms);
  for (const sums of [s.sums, s.rise]) {
    sums.ms += dtMs;
    addArm(sums.canary, arms.canary);
    addArm(sums.stable, arms.stable);
    sums.dealt.canary += dealt.canary;
    sums.dealt.stable += dealt.stable;
    sums.dealt.clients = arms.clients !== null;
  }
  const { groups } = s.rise;
  arms.groups.forEach((arm, g) => {
    groups[g] ??= emptyArm(arm.over.length);
    addArm(groups[g], arm);
  });
}

/** Nothing speaks against the release: is it proven, or is time up? */
function calm(s: State, plan: Plan, look: Look, arms: Arms, weighed: Weighed): Assessment {
  const control = hasControl(look.weightBp);
  const promotion = assessPromotion(s, plan, hasControl(look.weightBp), look.weightBp);
  const step = stepOf(plan, s.step);
  const splitOk = !control || evidence(s.split, s.reserve) < SPLIT_OK_BELOW;
  if (look.paused !== true && promotion.passed && splitOk && s.heldMs >= step.holdMs) {
    return conclude(s, plan, look, 'advance', { kind: 'safe' }, null, weighed, null, promotion);
  }
  const waiting = promotion.missing ?? (splitOk ? 'the rest of the hold' : 'a split that matches the weight');
  const late = lateOr(s, plan, look, waiting, weighed);
  if (late !== null) return late;
  return conclude(s, plan, look, 'continue', whyContinue(arms, waiting), null, weighed, null, promotion);
}

function whyContinue(arms: Arms, waiting: string): Why {
  if (arms.canary.sent === 0 && arms.stable.sent === 0) return { kind: 'no-traffic' };
  return { kind: 'waiting', waiting };
}

function reasonToHold(s: State, plan: Plan, weighed: Weighed, broken: Broken | null): Why | null {
  if (broken !== null) return broken.blame === 'stable' ? { kind: 'shared', limits: [broken.why.limit] } : broken.why;
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
function lateOr(s: State, plan: Plan, look: Look, waiting: string, weighed?: Weighed): Assessment | null {
  const { holdMs, then } = plan.policy.inconclusive;
  if (s.elapsedMs < stepOf(plan, s.step).holdMs + holdMs) return null;
  const why: Why = { kind: 'inconclusive', waiting, rolledBack: then === 'rollback' };
  if (then === 'rollback') return conclude(s, plan, look, 'rollback', why, 'no-data', weighed);
  return conclude(s, plan, look, 'inconclusive', why, null, weighed);
}

function conclude(
  s: State,
  plan: Plan,
  look: Look,
  verdict: Verdict,
  why: Why,
  speed: RollbackSpeed | null = null,
  weighed?: Weighed,
  instance: string | null = null,
  promotion?: Promotion,
): Assessment {
  const found = weighed ?? weigh(s, plan, hasControl(look.weightBp), false);
  const promote = promotion ?? assessPromotion(s, plan, hasControl(look.weightBp), look.weightBp);
  return { verdict, speed, why, total: found.total, metrics: found.metrics, promote, instance };
}

import { type Arm, type Arms, dealtOf } from './arms.ts';
import { guessedShare, upperEdgeShare, upperErrorShare } from './baseline.ts';
import { phiOf } from './dispersion.ts';
import { limitEdge } from './edges.ts';
import type { Look } from './judge.ts';
import { RATE_PSI } from './kernel.ts';
import { stepLatency, stepLatencyAlone } from './latency-tests.ts';
import { type Plan, stepOf } from './plan.ts';
import { activePods } from './pods.ts';
import { stepAbsolute, stepCatastrophe, stepRate } from './rate-tests.ts';
import { type Margin, stepGate, stepHarm } from './safe.ts';
import { stepLoad, stepSplit, stepThroughput } from './split-tests.ts';
import { toleratedFactor } from './spread.ts';
import type { State } from './state.ts';

/** Looks at the start of a step whose split may still mix two weights. */
const SETTLING_LOOKS = 2;
const WARN_KEEP = 0.8;
const CRITICAL_KEEP = 0.5;
/** Without stable's traffic the canary may be this much above the upper bound of stable's last day. */
const ALONE_MARGIN = 1.25;

/** Tests that need no comparison, or compare with the past: limits, catastrophe, split, and everything at 100 %. */
export function soloHarm(
  s: State,
  plan: Plan,
  look: Look,
  arms: Arms,
  control: boolean,
  guarded: boolean,
  phi: number,
): void {
  if (!control) aloneHarm(s, arms, guarded, phi);
  absoluteTests(s, plan, arms, guarded, phi);
  const stable = control ? arms.stable : null;
  stepCatastrophe(s.catastrophe, activePods(s.pods), arms.canary, stable, guessedShare(s.baseline));
  if (control && look.unconfirmed === undefined && s.looks > SETTLING_LOOKS) shareTests(s, look, arms);
  if (look.forecastRequests !== undefined) loadTest(s, look.forecastRequests, arms);
}

function aloneHarm(s: State, { canary, groups, warmCanary, warmGroups }: Arms, guarded: boolean, phi: number): void {
  const upper = upperErrorShare(s.baseline);
  if (upper !== null) {
    const plus = Math.min(1, ALONE_MARGIN * upper);
    const test = { ratio: 0, plus, psi: RATE_PSI, guess: guessedShare(s.baseline), phi };
    if (plus < 1) stepRate(s.errors, test, canary.n, canary.x, 0, 0, guarded ? groups : null);
  }
  if (s.choice === null) return;
  const shares = s.choice.tested.map((edge) => {
    const bound = upperEdgeShare(s.baseline, edge);
    return bound === null ? 1 : Math.min(1, ALONE_MARGIN * bound);
  });
  stepLatencyAlone(s.latency, s.choice, shares, warmCanary, guarded ? warmGroups : null, s.edgeDispersion);
}

/** The canary against stable: errors at any age, latency between settled instances. */
export function comparedHarm(s: State, plan: Plan, arms: Arms, guarded: boolean, phi: number): void {
  const { canary, stable, warmCanary, warmStable } = arms;
  const errors = errorTest(s, plan, arms, phi);
  stepRate(s.errors, errors, canary.n, canary.x, stable.n, stable.x, guarded ? arms.groups : null);
  if (s.choice === null) return;
  const ratios = latencyRatios(s, plan, s.choice.tested, activePods(s.pods), arms.stableEach.length);
  stepLatency(s.latency, s.choice, ratios, warmCanary, warmStable, guarded ? arms.warmGroups : null, s.edgeDispersion);
}

function errorTest(s: State, plan: Plan, arms: Arms, phi: number): Parameters<typeof stepRate>[1] {
  const { ratio, plusShare } = plan.policy.compare.errors;
  const spread = toleratedFactor(s.spread, -1, activePods(s.pods), arms.stableEach.length);
  return { ratio: Math.max(ratio, spread), plus: plusShare, psi: RATE_PSI, guess: guessedShare(s.baseline), phi };
}

/** What an edge's share may be of stable's: the policy's tolerance, or what stable's own instances differ by where that is more. */
export function latencyRatios(
  s: State,
  plan: Plan,
  edges: readonly number[],
  canaries: number,
  stables: number,
): number[] {
  const { ratio } = plan.policy.compare.latency;
  const shifted = (s.choice?.shift ?? 0) > 0;
  return edges.map((edge) => {
    const spread = toleratedFactor(s.spread, edge, canaries, stables);
    return shifted ? Math.max(1, spread / ratio) : Math.max(ratio, spread);
  });
}

function absoluteTests(s: State, plan: Plan, arms: Arms, guarded: boolean, phi: number): void {
  const { limits } = stepOf(plan, s.step);
  if (limits.errorShare !== null) {
    stepAbsolute(s.absoluteErrors, limits.errorShare, arms.canary, arms.groups, phi, guarded);
  }
  if (arms.warming) return;
  for (const limit of limits.latency) {
    const edge = limitEdge(s.edges!, limit.underMs);
    const m = s.absoluteLatency[plan.quantiles.indexOf(limit.quantile)];
    if (edge === null || m === undefined) continue;
    const above = (arm: Arm): { n: number; x: number } => ({ n: arm.known[edge.index]!, x: arm.over[edge.index]! });
    const groups = arms.warmGroups.map(above);
    stepAbsolute(m, 1 - limit.quantile, above(arms.warmCanary), groups, edgePhi(s, edge.index), guarded);
  }
}

/** Requests that an arm should have had before its silence means more than chance: P(none) is below e^-20. */
export const SILENCE_FROM = 20;

function shareTests(s: State, look: Look, arms: Arms): void {
  const weight = look.weightBp / 10_000;
  const { canary, stable } = dealtOf(arms);
  // A silent arm may be missing metrics rather than a wrong split: the rules for missing data speak first. Where silence is
  // likely (a few requests a look) it must count: leaving those looks out shifts the share and rolls back healthy releases.
  const total = canary + stable;
  const silent = (dealt: number, share: number): boolean => dealt <= 0 && total * share >= SILENCE_FROM;
  if (weight <= 0 || total <= 0 || silent(canary, weight) || silent(stable, 1 - weight)) return;
  stepSplit(s.split, canary, stable, weight);
  stepThroughput(s.throughput, canary, stable, weight, CRITICAL_KEEP);
  stepThroughput(s.throughputWarn, canary, stable, weight, WARN_KEEP);
}

function loadTest(s: State, forecast: number, arms: Arms): void {
  if (!Number.isFinite(forecast) || forecast <= 0) return;
  const requests = arms.canary.sent + arms.stable.sent;
  const { test, dispersion } = s.total;
  stepLoad(test, requests, forecast, phiOf(dispersion));
  dispersion.a += (requests - forecast) ** 2;
  dispersion.b += forecast;
}

/** The promotion gates beside stable's traffic. Latency starts to count when the canary is settled. */
export function promotionGates(s: State, plan: Plan, arms: Arms, phi: number): void {
  const { canary, stable, warmCanary, warmStable } = arms;
  const { promote } = plan.policy;
  const { safe, choice } = s;
  const errors = { ratio: promote.errors.ratio, plus: promote.errors.plusShare, guess: guessedShare(s.baseline), phi };
  stepGate(safe.errors, errors, canary.n, canary.x, stable.n, stable.x);
  stepHarm(safe, 1, 0, canary.n, canary.x, stable.n, stable.x, phi);
  if (choice === null || arms.warming) return;
  const { ratio, plusShare } = promote.latency;
  choice.gates.forEach((edge, i) => {
    const margin = { ratio, plus: plusShare, guess: guessedEdge(s, edge), phi: edgePhi(s, edge) };
    const [nc, ns] = [warmCanary.known[edge]!, warmStable.known[edge]!];
    stepGate(safe.latency[i]!, margin, nc, warmCanary.over[edge]!, ns, warmStable.over[edge]!);
  });
}

export function guessedEdge(s: State, edge: number): number {
  const { n, over } = s.baseline;
  return ((over[edge] ?? 0) + 0.5) / (n + 1);
}

/**
 * The promotion gates against stable's past, with the promotion margin: all there is at 100 %, and a second way to pass where
 * a step leaves stable too few requests to compare with in time.
 */
export function pastGates(s: State, plan: Plan, { canary, warmCanary, warming }: Arms, phi: number): void {
  const { past } = s.safe;
  const margins = aloneMargins(s, plan);
  const absolute = (plus: number, by: number): Margin => ({ ratio: 0, plus, guess: 0, phi: by });
  if (margins.errors !== null) stepGate(past.errors, absolute(margins.errors, phi), canary.n, canary.x, 0, 0);
  if (warming) return;
  s.choice?.gates.forEach((edge, i) => {
    const margin = margins.latency[i]!;
    if (margin === null) return;
    const { known, over } = warmCanary;
    stepGate(past.latency[i]!, absolute(margin, edgePhi(s, edge)), known[edge]!, over[edge]!, 0, 0);
  });
}

/** The harm bound at 100 %. */
export function pastHarm(s: State, { canary }: Arms, phi: number): void {
  const upper = upperErrorShare(s.baseline);
  if (upper !== null) stepHarm(s.safe, 0, upper, canary.n, canary.x, 0, 0, phi);
}

/** Error margin and latency margins of the promotion gates without stable's traffic; null: nothing to hold them to. */
export function aloneMargins(s: State, plan: Plan): { errors: number | null; latency: (number | null)[] } {
  const { promote } = plan.policy;
  const { limits } = stepOf(plan, s.step);
  const errors = aloneErrorMargin(s, promote.errors, limits.errorShare);
  const latency = (s.choice?.gates ?? []).map((edge) => {
    const bound = upperEdgeShare(s.baseline, edge);
    const margin = bound === null ? 1 : promote.latency.ratio * bound + promote.latency.plusShare;
    return margin >= 1 ? null : margin;
  });
  return { errors, latency };
}

/**
 * Stable's last day with the promotion margin. Where stable was hardly seen its upper bound is no margin worth the name:
 * the step's limit caps it, but not below what stable itself did; without a limit more than half is no claim at all.
 */
function aloneErrorMargin(s: State, margin: { ratio: number; plusShare: number }, limit: number | null): number | null {
  const upper = upperErrorShare(s.baseline);
  if (upper === null) return limit;
  const wide = margin.ratio * upper + margin.plusShare;
  if (limit === null) return wide > 0.5 ? null : wide;
  return Math.min(wide, Math.max(limit, margin.ratio * (s.baseline.x / s.baseline.n) + margin.plusShare));
}

/** Dispersion of an edge's counts, where it is tracked. */
export function edgePhi(s: State, edge: number): number {
  const at = s.choice?.tested.indexOf(edge) ?? -1;
  const dispersion = s.edgeDispersion[at];
  return dispersion === undefined ? 1 : phiOf(dispersion);
}

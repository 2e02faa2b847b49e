import type { Tick } from '../metrics/tick.ts';
import { type Arm, type Arms, addArm, emptyArm } from './arms.ts';
import { guessedShare, remember, upperBound, upperErrorShare } from './baseline.ts';
import { learn, newDispersion, phiOf } from './dispersion.ts';
import { chooseEdges, limitEdge } from './edges.ts';
import type { JudgeSetup, Look } from './judge.ts';
import { RATE_PSI } from './kernel.ts';
import { stepLatency, stepLatencyAlone } from './latency-tests.ts';
import { addGroup, feed, type Mixture, refill, releasedMass } from './mixture.ts';
import { type Plan, stepOf } from './plan.ts';
import { activePods, groupCount } from './pods.ts';
import { stepAbsolute, stepCatastrophe, stepRate } from './rate-tests.ts';
import { stepGate } from './safe.ts';
import { stepLoad, stepSplit, stepThroughput } from './split-tests.ts';
import { latencyMixture, mixturesOf, newSums, type State } from './state.ts';

/** Edges are chosen once stable has shown this much. */
const LEARN_REQUESTS = 1000;
const LEARN_MS = 30_000;
/** Looks at the start of a step whose split may still mix two weights. */
const SETTLING_LOOKS = 2;
const WARN_KEEP = 0.8;
const CRITICAL_KEEP = 0.5;

/** Sets up what depends on the first tick's edges. */
export function adoptEdges(s: State, setup: JudgeSetup, tick: Tick): void {
  if (s.edges !== null) return;
  const edges = tick.edges.slice();
  s.edges = edges;
  s.baseline.over = new Array<number>(edges.length).fill(0);
  s.sums = newSums(edges.length);
  s.rise = newSums(edges.length);
  const { history } = setup;
  if (history === undefined || !sameEdges(history.edges, edges) || !(history.requests > 0)) return;
  s.baseline.n = history.requests;
  s.baseline.x = history.errors;
  s.baseline.over = history.over.slice();
  choose(s);
}

function sameEdges(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((edge, j) => edge === b[j]);
}

function choose(s: State): void {
  const edges = s.edges!;
  if (edges.length === 0) return;
  s.choice = chooseEdges(edges, s.baseline.n, s.baseline.over);
  s.latency = latencyMixture(s.choice.tested.length, 1 - s.reserve, s.errors.without.length);
  s.placebo.latency = latencyMixture(s.choice.gates.length, 1 - s.reserve, s.placebo.errors.without.length);
  s.edgeDispersion = s.choice.tested.map(() => newDispersion());
  s.safe.latency = s.choice.gates.map(() => s.safe.errors.map(() => 0));
}

/** Time passes in the detectors: reserve mass goes in, caps grow back. */
export function passTime(s: State, plan: Plan, dtMs: number): void {
  let mass = releasedMass(s.reserve, dtMs, plan.horizonMs);
  if (s.boost) mass += (s.reserve - mass) / 10;
  s.boost = false;
  s.reserve -= mass;
  for (const m of mixturesOf(s)) {
    feed(m, mass);
    refill(m, dtMs);
  }
}

/** One usable tick through every test. `dtMs` is the time it counts for. */
export function takeTick(
  s: State,
  plan: Plan,
  look: Look,
  arms: Arms,
  control: boolean,
  guarded: boolean,
  dtMs: number,
): void {
  growGroups(s, arms);
  const phi = phiOf(s.dispersion);
  harmTests(s, plan, look, arms, control, guarded, phi);
  safeTests(s, plan, arms, control, phi);
  if (control) placeboTest(s, plan, arms, phi);
  learnFrom(s, arms, control, dtMs);
  if (s.choice === null && s.edges!.length > 0) {
    s.learnedMs += s.baseline.n > 0 ? dtMs : 0;
    if (s.baseline.n >= LEARN_REQUESTS || (s.learnedMs >= LEARN_MS && s.baseline.n > 0)) choose(s);
  }
}

function growGroups(s: State, arms: Arms): void {
  const groups = groupCount(s.pods);
  for (const m of [s.errors, s.latency, s.absoluteErrors, ...s.absoluteLatency]) {
    while (m.without.length < groups) addGroup(m);
  }
  const placebo = placeboSize(s, arms);
  for (const m of [s.placebo.errors, s.placebo.latency]) while (m.without.length < placebo) addGroup(m);
}

function harmTests(
  s: State,
  plan: Plan,
  look: Look,
  arms: Arms,
  control: boolean,
  guarded: boolean,
  phi: number,
): void {
  const { canary, stable } = arms;
  const { compare } = plan.policy;
  const groups = guarded ? arms.groups : null;
  const guess = guessedShare(s.baseline);
  const errors = control
    ? { ratio: compare.errors.ratio, plus: compare.errors.plusShare, psi: RATE_PSI, guess, phi }
    : { ratio: 0, plus: aloneErrorShare(s), psi: RATE_PSI, guess, phi };
  if (control || errors.plus < 1) stepRate(s.errors, errors, canary.n, canary.x, stable.n, stable.x, groups);
  if (s.choice !== null) {
    if (control) stepLatency(s.latency, s.choice, compare.latency.ratio, canary, stable, groups, s.edgeDispersion);
    else stepLatencyAlone(s.latency, s.choice, aloneEdgeShares(s), canary, groups, s.edgeDispersion);
  }
  absoluteTests(s, plan, arms, guarded, phi);
  const total = arms.young.n > 0 ? sumOf(canary, arms.young) : canary;
  stepCatastrophe(s.catastrophe, activePods(s.pods), total, control ? arms.stableTotal : 0, arms.stableErrors, guess);
  if (control && s.looks > SETTLING_LOOKS) shareTests(s, look, arms);
  if (look.forecastRequests !== undefined) loadTest(s, look.forecastRequests, arms);
}

function sumOf(a: Arm, b: Arm): Arm {
  const sum = emptyArm(a.over.length);
  addArm(sum, a);
  addArm(sum, b);
  return sum;
}

function absoluteTests(s: State, plan: Plan, arms: Arms, guarded: boolean, phi: number): void {
  const { limits } = stepOf(plan, s.step);
  if (limits.errorShare !== null) {
    stepAbsolute(s.absoluteErrors, limits.errorShare, arms.allGroups, arms.groups, phi, guarded);
  }
  for (const limit of limits.latency) {
    const edge = limitEdge(s.edges!, limit.underMs);
    const m = s.absoluteLatency[plan.quantiles.indexOf(limit.quantile)];
    if (edge === null || m === undefined) continue;
    const above = (arm: Arm): { n: number; x: number } => ({ n: arm.n, x: arm.over[edge.index]! });
    stepAbsolute(
      m,
      1 - limit.quantile,
      arms.allGroups.map(above),
      arms.groups.map(above),
      edgePhi(s, edge.index),
      guarded,
    );
  }
}

/** Requests that an arm should have had before its silence means more than chance: P(none) is below e^-20. */
export const SILENCE_FROM = 20;

function shareTests(s: State, look: Look, arms: Arms): void {
  const weight = look.weightBp / 10_000;
  const { canaryTotal, stableTotal } = arms;
  // A silent arm may be missing metrics rather than a wrong split: the rules for missing data speak first. Where silence is
  // likely (a few requests a look) it must count: leaving those looks out shifts the share and rolls back healthy releases.
  const total = canaryTotal + stableTotal;
  const silent = (requests: number, share: number): boolean => requests <= 0 && total * share >= SILENCE_FROM;
  if (weight <= 0 || total <= 0 || silent(canaryTotal, weight) || silent(stableTotal, 1 - weight)) return;
  stepSplit(s.split, canaryTotal, stableTotal, weight);
  stepThroughput(s.throughput, canaryTotal, stableTotal, weight, CRITICAL_KEEP);
  stepThroughput(s.throughputWarn, canaryTotal, stableTotal, weight, WARN_KEEP);
}

function loadTest(s: State, forecast: number, arms: Arms): void {
  if (!Number.isFinite(forecast) || forecast <= 0) return;
  const requests = arms.canaryTotal + arms.stableTotal;
  const { test, dispersion } = s.total;
  stepLoad(test, requests, forecast, phiOf(dispersion));
  dispersion.a += (requests - forecast) ** 2;
  dispersion.b += forecast;
}

/** What an error share may be when stable has no traffic: a quarter above the upper bound of stable's last day. */
function aloneErrorShare(s: State): number {
  const upper = upperErrorShare(s.baseline);
  return upper === null ? 1 : Math.min(1, 1.25 * upper);
}

/** The same for the share above each tested edge; 1 (not testable) when stable was never seen. */
function aloneEdgeShares(s: State): number[] {
  return s.choice!.tested.map((edge) => {
    const upper = upperBound(s.baseline.over[edge]!, s.baseline.n);
    return upper === null ? 1 : Math.min(1, 1.25 * upper);
  });
}

/** Error margin and latency margins of the promotion gates without stable's traffic; null: nothing to hold them to. */
export function aloneMargins(s: State, plan: Plan): { errors: number | null; latency: (number | null)[] } {
  const { promote } = plan.policy;
  const { limits } = stepOf(plan, s.step);
  const errors = aloneErrorMargin(s, promote.errors, limits.errorShare);
  const latency = (s.choice?.gates ?? []).map((edge) => {
    const bound = upperBound(s.baseline.over[edge]!, s.baseline.n);
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

function safeTests(s: State, plan: Plan, arms: Arms, control: boolean, phi: number): void {
  const { canary, stable } = arms;
  const { promote } = plan.policy;
  const { safe, choice } = s;
  if (control) {
    stepGate(safe.errors, promote.errors.ratio, promote.errors.plusShare, canary.n, canary.x, stable.n, stable.x, phi);
    stepGate(safe.harm, 1, 0, canary.n, canary.x, stable.n, stable.x, phi);
    if (canary.n > 0 && stable.n > 0) safe.harmRequests += canary.n / phi;
    choice?.gates.forEach((edge, i) => {
      const xc = canary.over[edge]!;
      const { ratio, plusShare } = promote.latency;
      stepGate(safe.latency[i]!, ratio, plusShare, canary.n, xc, stable.n, stable.over[edge]!, edgePhi(s, edge));
    });
    return;
  }
  const margins = aloneMargins(s, plan);
  if (margins.errors !== null) stepGate(safe.errors, 0, margins.errors, canary.n, canary.x, 0, 0, phi);
  const upper = upperErrorShare(s.baseline);
  if (upper !== null && canary.n > 0) {
    stepGate(safe.harm, 0, upper, canary.n, canary.x, 0, 0, phi);
    safe.harmRequests += canary.n / phi;
  }
  choice?.gates.forEach((edge, i) => {
    const margin = margins.latency[i]!;
    if (margin !== null) stepGate(safe.latency[i]!, 0, margin, canary.n, canary.over[edge]!, 0, 0, edgePhi(s, edge));
  });
}

/** Dispersion of an edge's counts, where it is tracked. */
export function edgePhi(s: State, edge: number): number {
  const at = s.choice?.tested.indexOf(edge) ?? -1;
  const dispersion = s.edgeDispersion[at];
  return dispersion === undefined ? 1 : phiOf(dispersion);
}

function placeboSize(s: State, arms: Arms): number {
  return Math.min(8, Math.max(1, activePods(s.pods)), Math.floor(arms.stableEach.length / 2));
}

/** The same test on stable's own instances, as many as the canary has against the rest: it must stay silent. */
function placeboTest(s: State, plan: Plan, arms: Arms, phi: number): void {
  const size = placeboSize(s, arms);
  if (size < 1) return;
  const chosen = arms.stableEach.slice(0, size);
  const edges = arms.stable.over.length;
  const group = emptyArm(edges);
  const rest = emptyArm(edges);
  arms.stableEach.forEach((arm, i) => {
    addArm(i < size ? group : rest, arm);
  });
  const { compare } = plan.policy;
  const test = {
    ratio: compare.errors.ratio,
    plus: compare.errors.plusShare,
    psi: RATE_PSI,
    guess: guessedShare(s.baseline),
    phi,
  };
  stepRate(s.placebo.errors, test, group.n, group.x, rest.n, rest.x, padded(chosen, s.placebo.errors, edges));
  if (s.choice === null) return;
  const choice = { tested: s.choice.gates, gates: [], shift: s.choice.shift };
  const groups = padded(chosen, s.placebo.latency, edges);
  const dispersion = choice.tested.map((edge) => ({ a: edgePhi(s, edge), b: 1 }));
  stepLatency(s.placebo.latency, choice, compare.latency.ratio, group, rest, groups, dispersion);
}

/** Groups that are gone take part with nothing. */
function padded(chosen: readonly Arm[], m: Mixture, edges: number): Arm[] {
  const out = chosen.slice(0, m.without.length);
  while (out.length < m.without.length) out.push(emptyArm(edges));
  return out;
}

/** Only now, after every test: what this tick teaches about stable is used from the next one on. */
function learnFrom(s: State, arms: Arms, control: boolean, dtMs: number): void {
  if (!control) return;
  learn(s.dispersion, arms.stableEach, -1, dtMs);
  s.choice?.tested.forEach((edge, e) => {
    learn(s.edgeDispersion[e]!, arms.stableEach, edge, dtMs);
  });
  if (arms.stable.n > 0) remember(s.baseline, arms.stable, dtMs);
}

import { type Arm, eventsOf, requestsOf } from './arms.ts';
import type { Promotion } from './assessment.ts';
import { guessedShare } from './baseline.ts';
import { phiOf } from './dispersion.ts';
import { aloneMargins, edgePhi, guessedEdge } from './evidence.ts';
import type { Judgement } from './judge.ts';
import type { Plan } from './plan.ts';
import { harmBound, logEvidence, type Margin, requestsNeeded } from './safe.ts';
import type { State } from './state.ts';

/** From this weight on stable has so little traffic that its past may stand in for it at promotion. */
const PAST_FROM_BP = 9_000;

/** Whether the step's gates are also held against stable's past. */
export function readsPast(weightBp: number): boolean {
  return weightBp >= PAST_FROM_BP;
}

/** One way to pass: against stable's traffic of the same time, or against its past. */
interface Way {
  errors: readonly number[];
  latency: readonly (readonly number[])[];
  /** Null margins hold the canary to nothing; at least one must be left. */
  margins: { errors: number | null; latency: (number | null)[] } | null;
}

/** Is it proven that the harm is below the margin: every gate, at this weight? Two ways share the doubt that one would have. */
export function assessPromotion(s: State, plan: Plan, control: boolean, weightBp: number): Promotion {
  const ways = waysOf(s, plan, control, weightBp);
  const wanted = Math.log(plan.safeThreshold * ways.length);
  const missing = ways.map((way) => firstMissing(s, way, wanted));
  return { passed: missing.includes(null), missing: missing.includes(null) ? null : missing[0]! };
}

function waysOf(s: State, plan: Plan, control: boolean, weightBp: number): Way[] {
  const ways: Way[] = control ? [{ errors: s.safe.errors, latency: s.safe.latency, margins: null }] : [];
  if (!control || readsPast(weightBp)) ways.push({ ...s.safe.past, margins: aloneMargins(s, plan) });
  return ways;
}

/** The figures that go with it: the bound proven so far, and what the missing proof would take. */
export function promotionFigures(
  s: State,
  plan: Plan,
  control: boolean,
  weightBp: number,
  passed: boolean,
): Pick<Judgement['promote'], 'harmBoundShare' | 'needRequests' | 'needMs'> {
  const ways = waysOf(s, plan, control, weightBp);
  const needs = passed ? [] : ways.map((way) => neededRequests(s, plan, way, plan.safeThreshold * ways.length));
  const known = needs.filter((need) => need !== null);
  const need = known.length === 0 ? null : Math.min(...known);
  const perMs = s.sums.ms > 0 ? s.sums.canary.n / s.sums.ms : 0;
  return {
    harmBoundShare: harmBound(s.safe, plan.safeThreshold),
    needRequests: need === null ? null : Math.ceil(need),
    needMs: need === null || perMs <= 0 ? null : Math.ceil(need / perMs),
  };
}

/** Rounding must not decide: 1 / (1 - 0.99) is not quite 100 in binary. */
const ROUNDING = 1e-9;

function firstMissing(s: State, way: Way, wanted: number): string | null {
  const { margins } = way;
  if (margins !== null && margins.errors === null) return 'an error limit, since stable was never seen';
  if (logEvidence(way.errors) < wanted - ROUNDING) return 'proof that errors stay below the margin';
  if (s.edges !== null && s.edges.length === 0) return 'latency counts: the source reports no latency edges';
  if (s.choice === null) return "a picture of stable's latency";
  if (s.choice.gates.length === 0) return 'latency edges that reach above the median of stable';
  // A margin that anything keeps to proves nothing; the other gates must.
  if (margins?.latency.every((margin) => margin === null)) return "enough of stable's latency to compare with";
  for (let i = 0; i < s.choice.gates.length; i++) {
    if (margins !== null && margins.latency[i] === null) continue;
    const edge = s.edges![s.choice.gates[i]!]!;
    if (logEvidence(way.latency[i]!) < wanted - ROUNDING) return `proof that not more requests take over ${edge} ms`;
  }
  return null;
}

function neededRequests(s: State, plan: Plan, way: Way, threshold: number): number | null {
  const { canary, stable } = s.sums;
  const { margins } = way;
  const beside = margins === null;
  if (s.choice === null || canary.n <= 0 || (beside && stable.n <= 0)) return null;
  if (margins?.latency.every((margin) => margin === null)) return null;
  const { errors, latency } = plan.policy.promote;
  const plus = beside ? errors.plusShare : margins.errors;
  if (plus === null) return null;
  const share = (arm: Arm, edge: number): number => (eventsOf(arm, edge) + 0.5) / (requestsOf(arm, edge) + 1);
  const needed = (logs: readonly number[], margin: Margin, edge: number): number | null =>
    requestsNeeded(logs, threshold, margin, {
      canary: share(beside ? stable : canary, edge),
      stable: share(stable, edge),
      canaryPerStable: beside ? canary.n / stable.n : 0,
    });
  const margin = { ratio: beside ? errors.ratio : 0, plus, guess: guessedShare(s.baseline), phi: phiOf(s.dispersion) };
  let most = needed(way.errors, margin, -1);
  for (let i = 0; most !== null && i < s.choice.gates.length; i++) {
    const edge = s.choice.gates[i]!;
    const extra = beside ? latency.plusShare : margins.latency[i]!;
    if (extra === null) continue;
    const bound = {
      ratio: beside ? latency.ratio : 0,
      plus: extra,
      guess: guessedEdge(s, edge),
      phi: edgePhi(s, edge),
    };
    const need = needed(way.latency[i]!, bound, edge);
    most = need === null ? null : Math.max(most, need);
  }
  return most;
}

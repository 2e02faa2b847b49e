import type { Promotion } from './assessment.ts';
import { phiOf } from './dispersion.ts';
import type { Judgement } from './judge.ts';
import type { Plan } from './plan.ts';
import { harmBound, logEvidence, requestsNeeded } from './safe.ts';
import type { State } from './state.ts';
import { aloneMargins, edgePhi } from './step.ts';

/** Is it proven that the harm is below the margin: every gate, at this weight? */
export function assessPromotion(s: State, plan: Plan, control: boolean): Promotion {
  const missing = firstMissing(s, plan, control, Math.log(plan.safeThreshold));
  return { passed: missing === null, missing };
}

/** The figures that go with it: the bound proven so far, and what the missing proof would take. */
export function promotionFigures(
  s: State,
  plan: Plan,
  control: boolean,
  passed: boolean,
): Pick<Judgement['promote'], 'harmBoundShare' | 'needRequests' | 'needMs'> {
  const need = passed ? null : neededRequests(s, plan, control);
  const perMs = s.sums.ms > 0 ? s.sums.canary.n / s.sums.ms : 0;
  return {
    harmBoundShare: harmBound(s.safe, plan.safeThreshold),
    needRequests: need === null ? null : Math.ceil(need),
    needMs: need === null || perMs <= 0 ? null : Math.ceil(need / perMs),
  };
}

/** Rounding must not decide: 1 / (1 - 0.99) is not quite 100 in binary. */
const ROUNDING = 1e-9;

function firstMissing(s: State, plan: Plan, control: boolean, wanted: number): string | null {
  if (!control && aloneMargins(s, plan).errors === null) return 'an error limit, since stable was never seen';
  if (logEvidence(s.safe.errors) < wanted - ROUNDING) return 'proof that errors stay below the margin';
  if (s.edges !== null && s.edges.length === 0) return 'latency counts: the source reports no latency edges';
  if (s.choice === null) return "a picture of stable's latency";
  if (s.choice.gates.length === 0) return 'latency edges that reach above the median of stable';
  const margins = control ? null : aloneMargins(s, plan).latency;
  // A margin that anything keeps to proves nothing; the other gates must.
  if (margins?.every((margin) => margin === null)) return "enough of stable's latency to compare with";
  for (let i = 0; i < s.choice.gates.length; i++) {
    if (margins !== null && margins[i] === null) continue;
    const edge = s.edges![s.choice.gates[i]!]!;
    if (logEvidence(s.safe.latency[i]!) < wanted - ROUNDING) return `proof that not more requests take over ${edge} ms`;
  }
  return null;
}

function neededRequests(s: State, plan: Plan, control: boolean): number | null {
  const { canary, stable } = s.sums;
  if (s.choice === null || canary.n <= 0 || (control && stable.n <= 0)) return null;
  const perStable = control ? canary.n / stable.n : 0;
  const margins = control ? null : aloneMargins(s, plan);
  if (margins?.latency.every((margin) => margin === null)) return null;
  const { errors, latency } = plan.policy.promote;
  const rate = control ? (stable.x + 0.5) / (stable.n + 1) : (canary.x + 0.5) / (canary.n + 1);
  const plus = margins === null ? errors.plusShare : margins.errors;
  if (plus === null) return null;
  const ratio = control ? errors.ratio : 0;
  const wanted = plan.safeThreshold;
  let most = requestsNeeded(s.safe.errors, wanted, ratio, plus, rate, rate, perStable, phiOf(s.dispersion));
  for (let i = 0; most !== null && i < s.choice.gates.length; i++) {
    const edge = s.choice.gates[i]!;
    const share = control ? (stable.over[edge]! + 0.5) / (stable.n + 1) : (canary.over[edge]! + 0.5) / (canary.n + 1);
    const extra = margins === null ? latency.plusShare : margins.latency[i]!;
    if (extra === null) continue;
    const logs = s.safe.latency[i]!;
    const times = control ? latency.ratio : 0;
    const need = requestsNeeded(logs, wanted, times, extra, share, share, perStable, edgePhi(s, edge));
    most = need === null ? null : Math.max(most, need);
  }
  return most;
}

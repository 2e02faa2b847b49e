import type { Arms } from './arms.ts';
import { lostShare, upperErrorShare } from './baseline.ts';
import { evidence, evidenceWithout, type Mixture } from './mixture.ts';
import { type MetricName, type Plan, stepOf } from './plan.ts';
import { groupCount, mayBeAtFault } from './pods.ts';
import type { State } from './state.ts';

/** Relative evidence that the canary is worse than stable, before an absolute limit counts against it. */
const RELATIVE_ENOUGH = 20;

/** Evidence of one metric at one look. */
export interface MetricValue {
  name: MetricName;
  evidence: number;
  weight: number;
  /** An absolute limit is broken on both arms and does not count. */
  gated: boolean;
}

export interface Weighed {
  total: number;
  /** The same without what latency shows: what would decide if the canary were only cold. */
  withoutLatency: number;
  metrics: MetricValue[];
  /** The smallest total when one instance group is left out, and that group; null with fewer than two witnesses. */
  weakest: { total: number; group: number } | null;
  /** Absolute limits that alone would decide but that stable breaks as well. */
  shared: MetricName[];
}

function mixtureOf(s: State, plan: Plan, name: MetricName): Mixture {
  switch (name) {
    case 'errors':
      return s.errors;
    case 'latency':
      return s.latency;
    case 'absolute-errors':
      return s.absoluteErrors;
    case 'split':
      return s.split;
    case 'throughput':
      return s.throughput;
    case 'catastrophe':
      return s.catastrophe;
    default:
      return s.absoluteLatency[absoluteIndex(plan, name)]!;
  }
}

function absoluteIndex(plan: Plan, name: MetricName): number {
  const first = plan.metrics.findIndex((metric) => metric.name.startsWith('absolute-p'));
  return plan.metrics.findIndex((metric) => metric.name === name) - first;
}

/** E of a metric; a latency detector without edges has seen nothing. */
function eValue(m: Mixture, reserve: number, group: number): number {
  if (m.s.length === 0) return 1;
  return group < 0 ? evidence(m, reserve) : evidenceWithout(m, group, reserve);
}

/**
 * Merges the metrics by their weighted mean, the only admissible merge under arbitrary dependence (Vovk & Wang,
 * arXiv 1912.06116). An absolute limit counts only while the canary is also worse than stable, unless there is no stable
 * traffic to compare with or the policy blames the canary for shared incidents.
 */
export function weigh(s: State, plan: Plan, control: boolean, guarded: boolean): Weighed {
  const gate = control && plan.policy.sharedIncident === 'hold';
  const errorsWorse = eValue(s.errors, s.reserve, -1) >= RELATIVE_ENOUGH;
  const latencyWorse = eValue(s.latency, s.reserve, -1) >= RELATIVE_ENOUGH;
  const shared: MetricName[] = [];
  const metrics = plan.metrics.map(({ name, weight }): MetricValue => {
    const value = eValue(mixtureOf(s, plan, name), s.reserve, -1);
    const gated = gate && name.startsWith('absolute-') && !(name === 'absolute-errors' ? errorsWorse : latencyWorse);
    if (gated && weight * value >= plan.threshold) shared.push(name);
    return { name, evidence: value, weight, gated };
  });
  let total = 0;
  let withoutLatency = 0;
  // What does not count is no evidence: 1, like every e-process at its start.
  for (const metric of metrics) {
    const one = Math.min(1, metric.evidence);
    total += metric.weight * (metric.gated ? one : metric.evidence);
    withoutLatency += metric.weight * (metric.gated || isLatency(metric.name) ? one : metric.evidence);
  }
  return { total, withoutLatency, metrics, weakest: guarded ? weakestOf(s, plan, metrics) : null, shared };
}

function weakestOf(s: State, plan: Plan, metrics: readonly MetricValue[]): { total: number; group: number } | null {
  let weakest: { total: number; group: number } | null = null;
  for (let group = 0; group < groupCount(s.pods); group++) {
    if (!mayBeAtFault(s.pods, group)) continue;
    let total = 0;
    for (const metric of metrics) {
      const value = eValue(mixtureOf(s, plan, metric.name), s.reserve, group);
      total += metric.weight * (metric.gated ? Math.min(1, value) : value);
    }
    if (weakest === null || total < weakest.total) weakest = { total, group };
  }
  return weakest;
}

export function isLatency(name: MetricName): boolean {
  return name === 'latency' || name.startsWith('absolute-p');
}

/** The share of requests that a harmless canary may lose: its limit, or what stable lost before with the tolerance. */
export function toleratedLoss(s: State, plan: Plan, control: boolean): number {
  const limit = stepOf(plan, s.step).limits.errorShare ?? 0;
  const { ratio, plusShare } = plan.policy.compare.errors;
  const before = lostShare(s.baseline);
  if (!control) return Math.max(limit, 1.25 * Math.max(before, upperErrorShare(s.baseline) ?? 0), plusShare);
  return Math.max(limit, ratio * before + plusShare);
}

/** True when a comparison with stable is possible at all at this weight. */
export function hasControl(weightBp: number): boolean {
  return weightBp < 10_000;
}

/** True when this look had requests on both arms that may be compared. */
export function comparable(arms: Arms): boolean {
  return arms.canary.n > 0 && arms.stable.n > 0;
}

import type { PolicySpec, StepSpec } from '../spec/model.ts';
import type { JudgeSetup } from './judge.ts';

/** What follows from a policy alone: thresholds, weights and time scales. Rebuilt at will; never stored. */
export interface Plan {
  policy: PolicySpec;
  stable: string;
  canary: string;
  guard: 'auto' | 'off';
  alpha: number;
  /** 1 / alpha: evidence that rolls back. */
  threshold: number;
  /** 1 / (1 - confidence): evidence that promotes. */
  safeThreshold: number;
  /** Over this time the detector's reserve is spread: the release's planned length. */
  horizonMs: number;
  /** One look counts at most this much time, so that a sleeping machine or a stepped clock proves nothing. */
  gapMs: number;
  metrics: PlannedMetric[];
  /** Quantiles that have an absolute limit in some step, ascending. */
  quantiles: number[];
}

export interface PlannedMetric {
  name: MetricName;
  weight: number;
}

export type MetricName =
  | 'errors'
  | 'latency'
  | 'absolute-errors'
  | `absolute-p${string}`
  | 'split'
  | 'throughput'
  | 'catastrophe';

/** Shares of the false-rollback budget by family; families that a policy does not use leave theirs to the others. */
const FAMILY_WEIGHTS = {
  errors: 0.42,
  latency: 0.3,
  absoluteErrors: 0.1,
  absoluteLatency: 0.06,
  split: 0.04,
  throughput: 0.04,
  catastrophe: 0.04,
} as const;

/** A release is planned to take this many times its holds. */
const HORIZON_HOLDS = 1.25;
const MIN_HORIZON_MS = 60_000;
const MAX_HORIZON_MS = 60 * 86_400_000;
const MIN_GAP_MS = 30_000;

export function planOf(setup: JudgeSetup): Plan {
  const { policy } = setup;
  const alpha = policy.compare.falseRollbackShare;
  const quantiles = quantilesOf(policy.steps);
  const held = policy.steps.reduce((sum, step) => sum + step.holdMs, 0);
  return {
    policy,
    stable: setup.stable,
    canary: setup.canary,
    guard: setup.guard ?? 'auto',
    alpha,
    threshold: 1 / alpha,
    safeThreshold: 1 / (1 - policy.promote.confidenceShare),
    horizonMs: Math.min(MAX_HORIZON_MS, Math.max(MIN_HORIZON_MS, HORIZON_HOLDS * held)),
    gapMs: Math.max(MIN_GAP_MS, 10 * policy.lookMs),
    metrics: metricsOf(policy.steps, quantiles),
    quantiles,
  };
}

function quantilesOf(steps: readonly StepSpec[]): number[] {
  const all = new Set<number>();
  for (const step of steps) for (const limit of step.limits.latency) all.add(limit.quantile);
  return [...all].sort((a, b) => a - b);
}

function metricsOf(steps: readonly StepSpec[], quantiles: readonly number[]): PlannedMetric[] {
  const w = FAMILY_WEIGHTS;
  const out: PlannedMetric[] = [
    { name: 'errors', weight: w.errors },
    { name: 'latency', weight: w.latency },
  ];
  if (steps.some((step) => step.limits.errorShare !== null)) {
    out.push({ name: 'absolute-errors', weight: w.absoluteErrors });
  }
  for (const q of quantiles) out.push({ name: absoluteName(q), weight: w.absoluteLatency / quantiles.length });
  if (steps.some((step) => step.weightBp < 10_000)) {
    out.push({ name: 'split', weight: w.split }, { name: 'throughput', weight: w.throughput });
  }
  out.push({ name: 'catastrophe', weight: w.catastrophe });
  const sum = out.reduce((total, metric) => total + metric.weight, 0);
  return out.map((metric) => ({ name: metric.name, weight: metric.weight / sum }));
}

/** `absolute-p95` for 0.95, `absolute-p99.9` for 0.999. */
export function absoluteName(quantile: number): `absolute-p${string}` {
  return `absolute-p${Number((quantile * 100).toFixed(3))}`;
}

/** The step in force; an index outside the policy means its nearest step. */
export function stepOf(plan: Plan, index: number): StepSpec {
  const { steps } = plan.policy;
  const last = steps.length - 1;
  return steps[Number.isInteger(index) ? Math.max(0, Math.min(last, index)) : 0]!;
}

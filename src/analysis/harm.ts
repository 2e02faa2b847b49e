import type { Arms } from './arms.ts';
import type { Why } from './assessment.ts';
import { phiOf } from './dispersion.ts';
import { forgetGroup, type InstantFinding, judgeInstant, keepWindow, stableOf } from './instant.ts';
import type { RollbackSpeed, Verdict } from './judge.ts';
import { dropGroup } from './mixture.ts';
import type { MetricName, Plan } from './plan.ts';
import { worstOf } from './pods.ts';
import type { State } from './state.ts';
import { toleratedErrorShare, type Weighed } from './weigh.ts';

/** Evidence left without the strongest instance that confirms it, when its part of the failures is not striking. */
const CONFIRMED = 10;
/** The same when even a chance of one in twenty (ln 20) would not call the spread uneven: the others must not contradict. */
const CONFIRMED_EVEN = 1;
const EVEN_NATS = 3;
/** Evidence left without the suspect: at most this, and the others are innocent. */
const INNOCENT_BELOW = 3;
/** ln 1000: an instance is named only when chance explains its part less than once in a thousand times. */
const STANDS_OUT_NATS = 6.9;
/** What the evidence or the instant rule demands: roll back, replace an instance, or hold until others confirm. */
export interface Harm {
  verdict: Verdict;
  speed: RollbackSpeed | null;
  why: Why;
  instance: string | null;
}

export function instantHarm(
  s: State,
  plan: Plan,
  arms: Arms,
  dtMs: number,
  control: boolean,
  guarded: boolean,
): Harm | null {
  const rule = plan.policy.instant;
  if (rule === null) return null;
  keepWindow(s.instant, rule, arms.allGroups, arms.stable, dtMs);
  const finding: InstantFinding = judgeInstant(s.instant, rule, {
    tolerated: toleratedErrorShare(s, plan, control, stableOf(s.instant)),
    nats: Math.log((10 * plan.horizonMs) / (plan.alpha * Math.max(1, dtMs))) * phiOf(s.dispersion),
    separable: guarded,
  });
  if (finding.kind === 'none') return null;
  if (finding.kind === 'rollback') {
    const { requests, errors, overMs } = finding;
    return {
      verdict: 'rollback',
      speed: 'instant',
      why: { kind: 'instant', requests, errors, overMs },
      instance: null,
    };
  }
  const instance = accuse(s, finding.group, false);
  const { requests, errors } = finding;
  return { verdict: 'pod-fault', speed: null, why: { kind: 'instance-instant', instance, requests, errors }, instance };
}

export function evidenceHarm(s: State, plan: Plan, weighed: Weighed): Harm | null {
  if (weighed.total < plan.threshold) return null;
  const { weakest } = weighed;
  const nats = weakest === null ? 0 : suspicion(s, weighed, weakest.group);
  if (weakest === null || confirmed(weakest.total, nats, plan.threshold)) {
    const named = weighed.metrics.filter((m) => !m.gated && m.weight * m.evidence >= plan.threshold).map((m) => m.name);
    return { verdict: 'rollback', speed: 'statistical', why: { kind: 'evidence', named }, instance: null };
  }
  if (nats < STANDS_OUT_NATS || weakest.total > INNOCENT_BELOW) {
    return { verdict: 'hold', speed: null, why: { kind: 'uncorroborated', without: weakest.total }, instance: null };
  }
  const instance = accuse(s, weakest.group, isLatency(topOf(weighed)));
  const why: Why = { kind: 'instance-evidence', instance, without: weakest.total };
  return { verdict: 'pod-fault', speed: null, why, instance };
}

/** Do the others confirm what the strongest instance shows? The more evenly the failures lie, the less it takes. */
function confirmed(without: number, nats: number, threshold: number): boolean {
  if (without >= threshold) return true;
  if (nats < EVEN_NATS) return without >= CONFIRMED_EVEN;
  return nats < STANDS_OUT_NATS && without >= CONFIRMED;
}

/**
 * How much more of the canary's failures (or slow requests) the group has, since the evidence began to rise, than chance
 * gives it when all instances are alike: the Chernoff bound x KL(share of events || share of requests), in nats.
 */
function suspicion(s: State, weighed: Weighed, group: number): number {
  const { canary, groups } = s.rise;
  const arm = groups[group];
  if (arm === undefined || canary.n <= 0) return 0;
  const slow = isLatency(topOf(weighed));
  let most = 0;
  for (const edge of slow ? (s.choice?.tested ?? []) : [-1]) {
    const own = edge < 0 ? arm.x : arm.over[edge]!;
    const all = edge < 0 ? canary.x : canary.over[edge]!;
    most = Math.max(most, all * divergence(own / Math.max(all, 1), arm.n / canary.n));
  }
  return most;
}

function topOf(weighed: Weighed): MetricName {
  return weighed.metrics.reduce((a, b) => (b.weight * b.evidence > a.weight * a.evidence ? b : a)).name;
}

function isLatency(name: MetricName): boolean {
  return name === 'latency' || name.startsWith('absolute-p');
}

/** KL(p || u) of two shares when p is the greater, else 0. */
function divergence(p: number, u: number): number {
  if (p <= u || u <= 0) return 0;
  return p * Math.log(p / u) + (p < 1 ? (1 - p) * Math.log((1 - p) / (1 - u)) : 0);
}

/** Names the worst instance of a group and takes the group's evidence out: its replacement starts clean. */
function accuse(s: State, group: number, bySlow: boolean): string {
  const instance = worstOf(s.pods, group, bySlow) ?? `group ${group + 1}`;
  for (const m of [s.errors, s.latency, s.absoluteErrors, ...s.absoluteLatency]) dropGroup(m, group);
  forgetGroup(s.instant, group);
  return instance;
}

import { type Arms, eventsOf, requestsOf } from './arms.ts';
import type { Why } from './assessment.ts';
import { phiOf } from './dispersion.ts';
import {
  forgetGroup,
  type InstantEntry,
  type InstantFinding,
  type InstantGuard,
  type InstantRule,
  judgeInstant,
  keepWindow,
  stableOf,
} from './instant.ts';
import type { RollbackSpeed, Verdict } from './judge.ts';
import { dropGroup } from './mixture.ts';
import type { MetricName, Plan } from './plan.ts';
import { activePods, EVEN_NATS, mayBeAtFault, STANDS_OUT_NATS, unevenNats, worstOf } from './pods.ts';
import { toleratedFactor } from './spread.ts';
import type { State } from './state.ts';
import { dropFromChains } from './sustained.ts';
import { isLatency, toleratedLoss, type Weighed } from './weigh.ts';

/** Evidence left without the strongest instance that confirms it, when its part of the failures is not striking. */
const CONFIRMED = 10;
/** The same when the failures lie evenly: the others must not contradict. */
const CONFIRMED_EVEN = 1;
/** Evidence left without the suspect: at most this, and the others are innocent. */
const INNOCENT_BELOW = 3;
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
  return rule === null ? null : windowHarm(s, plan, s.instant, rule, arms, dtMs, control, guarded, BESIDE_NATS);
}

/**
 * Gross failure at any traffic: a quarter of the canary's requests, and more than chance explains. It is what the policy's
 * instant rule means where that one still waits for its number of requests; `instant: none` turns both off.
 */
/** Chance explains the distance from stable less than once in 1,100 times; for a gross failure once in 20 is enough to lower. */
const BESIDE_NATS = 7;
const GROSS_BESIDE_NATS = 3;
const GROSS_SHARE = 0.25;
const GROSS_REQUESTS = 6;
const GROSS_LOOKS = 3;
const GROSS_MS = 5_000;

export function grossHarm(
  s: State,
  plan: Plan,
  arms: Arms,
  dtMs: number,
  control: boolean,
  guarded: boolean,
): Harm | null {
  const { instant, lookMs } = plan.policy;
  if (instant === null) return null;
  const rule = {
    errorShare: Math.max(GROSS_SHARE, instant.errorShare),
    overMs: Math.max(GROSS_MS, GROSS_LOOKS * lookMs),
    minRequests: GROSS_REQUESTS,
  };
  return windowHarm(s, plan, s.gross, rule, arms, dtMs, control, guarded, GROSS_BESIDE_NATS);
}

function besideOf(
  s: State,
  plan: Plan,
  arms: Arms,
  stable: { n: number; x: number },
  nats: number,
): InstantGuard['beside'] {
  const { ratio, plusShare } = plan.policy.compare.errors;
  const spread = toleratedFactor(s.spread, -1, activePods(s.pods), arms.stableEach.length);
  return stable.n > 0 ? { ...stable, ratio: Math.max(ratio, spread), plus: plusShare, nats } : null;
}

function windowHarm(
  s: State,
  plan: Plan,
  window: InstantEntry[],
  rule: InstantRule,
  arms: Arms,
  dtMs: number,
  control: boolean,
  guarded: boolean,
  besideNats: number,
): Harm | null {
  keepWindow(window, rule, arms.groups, arms.stable, dtMs);
  const finding: InstantFinding = judgeInstant(window, rule, {
    tolerated: toleratedLoss(s, plan, control),
    beside:
      control && plan.policy.sharedIncident === 'hold' ? besideOf(s, plan, arms, stableOf(window), besideNats) : null,
    nats: Math.log((20 * plan.horizonMs) / (plan.alpha * Math.max(1, dtMs))) * phiOf(s.dispersion),
    separable: (group) => guarded && mayBeAtFault(s.pods, group),
  });
  if (finding.kind === 'none') return null;
  const limit = rule.errorShare;
  if (finding.kind === 'rollback') {
    const { requests, errors, overMs } = finding;
    const why: Why = { kind: 'instant', requests, errors, overMs, limit };
    return { verdict: 'rollback', speed: 'instant', why, instance: null };
  }
  const instance = suspect(s, finding.group, false);
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
  const instance = suspect(s, weakest.group, isLatency(topOf(weighed)));
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
  if (arm === undefined) return 0;
  const slow = isLatency(topOf(weighed));
  let most = 0;
  for (const edge of slow ? (s.choice?.tested ?? []) : [-1]) {
    const [own, all] = [eventsOf(arm, edge), eventsOf(canary, edge)];
    most = Math.max(most, unevenNats(own, all, requestsOf(arm, edge), requestsOf(canary, edge)));
  }
  return most;
}

function topOf(weighed: Weighed): MetricName {
  return weighed.metrics.reduce((a, b) => (b.weight * b.evidence > a.weight * a.evidence ? b : a)).name;
}

/** The worst instance of a group. */
function suspect(s: State, group: number, bySlow: boolean): string {
  return worstOf(s.pods, group, bySlow) ?? `group ${group + 1}`;
}

/** Takes the evidence of an instance's group out: what serves in its place starts clean. */
export function forgetInstance(s: State, instance: string): void {
  const pod = s.pods.find((one) => one.id === instance);
  if (pod === undefined) return;
  for (const m of [s.errors, s.latency, s.absoluteErrors, ...s.absoluteLatency]) dropGroup(m, pod.group);
  forgetGroup(s.instant, pod.group);
  forgetGroup(s.gross, pod.group);
  dropFromChains(s.sustained, pod.group);
}

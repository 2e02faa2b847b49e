import { type Ages, cloneAges, newAges } from './ages.ts';
import { type Arm, cloneArm, emptyArm } from './arms.ts';
import { type Baseline, cloneBaseline, newBaseline } from './baseline.ts';
import { type Cooling, cloneCooling, newCooling } from './cooling.ts';
import { type Dispersion, newDispersion } from './dispersion.ts';
import { BETS_PER_EDGE, type EdgeChoice } from './edges.ts';
import type { InstantEntry } from './instant.ts';
import type { JudgeSetup } from './judge.ts';
import { GROSS_PSI, RATE_PSI } from './kernel.ts';
import { addGroup, cloneMixture, FIRST_MASS, type Mixture, newMixture } from './mixture.ts';
import { copyOf, type Pairing } from './pairing.ts';
import type { Plan } from './plan.ts';
import type { Pod } from './pods.ts';
import { cloneSafe, newSafe, type Safe } from './safe.ts';
import { cloneSpread, newSpread, type Spread } from './spread.ts';
import { cloneSustained, newSustained, type Sustained } from './sustained.ts';

/** Everything the judge remembers of a release: plain JSON, a few kilobytes. */
export interface State {
  v: 2;
  step: number;
  lastT: number | null;
  /** Fixed by the first usable tick. */
  edges: number[] | null;
  /** Observed time, and all time, at this step's weight. */
  heldMs: number;
  elapsedMs: number;
  /** Looks since the step began. */
  looks: number;
  /** Time without usable data or without data of the canary, since it was last there. */
  blindMs: number;
  canarySilent: number;
  stableSilent: number;
  /** Requests of the canary that waited for an answer at the last look. */
  unanswered: number;
  /** Time since the release's first look: how much of the detectors' reserve is due. */
  ageMs: number;
  /** Detector mass not yet fed in; `boost`: a tenth of it goes in with the next look (a step began). */
  reserve: number;
  boost: boolean;
  ages: Ages;
  /** The canary's latency may be its age: evidence of it is collected, not acted on. */
  warming: boolean;
  /** Age of the canary's youngest instance when it last had requests, with the time since; null before its first. */
  youngestMs: number | null;
  cooling: Cooling;
  /** Looks with too little of stable to compare. */
  pairing: Pairing | null;
  spread: Spread;
  pods: Pod[];
  errors: Mixture;
  latency: Mixture;
  absoluteErrors: Mixture;
  absoluteLatency: Mixture[];
  split: Mixture;
  throughput: Mixture;
  throughputWarn: Mixture;
  catastrophe: Mixture;
  placebo: { errors: Mixture; latency: Mixture };
  total: { test: Mixture; dispersion: Dispersion };
  dispersion: Dispersion;
  edgeDispersion: Dispersion[];
  choice: EdgeChoice | null;
  /** Observed time towards choosing edges, and how often they were chosen in this step. */
  learnedMs: number;
  choices: number;
  baseline: Baseline;
  safe: Safe;
  instant: InstantEntry[];
  gross: InstantEntry[];
  sustained: Sustained;
  /** Counts of this step, and since the evidence began to rise. */
  sums: Sums;
  rise: Sums;
}

export interface Sums {
  ms: number;
  canary: Arm;
  stable: Arm;
  /** The canary's counts by instance group. */
  groups: Arm[];
  /** What the weight divided: clients where they keep their place, else requests. */
  dealt: { canary: number; stable: number; clients: boolean };
}

export function newSums(edges: number): Sums {
  const dealt = { canary: 0, stable: 0, clients: false };
  return { ms: 0, canary: emptyArm(edges), stable: emptyArm(edges), groups: [], dealt };
}

function cloneSums(s: Sums): Sums {
  const { ms, canary, stable, groups, dealt } = s;
  return {
    ...{ ms, canary: cloneArm(canary), stable: cloneArm(stable) },
    ...{ groups: groups.map(cloneArm), dealt: { ...dealt } },
  };
}

export function newState(setup: JudgeSetup, plan: Plan): State {
  return {
    v: 2,
    step: 0,
    lastT: null,
    edges: null,
    heldMs: 0,
    elapsedMs: 0,
    looks: 0,
    blindMs: 0,
    canarySilent: 0,
    stableSilent: 0,
    unanswered: 0,
    ageMs: 0,
    reserve: 1 - FIRST_MASS,
    boost: false,
    ages: newAges(),
    warming: false,
    youngestMs: null,
    cooling: newCooling(),
    pairing: null,
    spread: newSpread(0),
    pods: [],
    errors: newMixture(RATE_PSI.length),
    latency: newMixture(0),
    absoluteErrors: newMixture(RATE_PSI.length),
    absoluteLatency: plan.quantiles.map(() => newMixture(RATE_PSI.length)),
    split: newMixture(2 * RATE_PSI.length),
    throughput: newMixture(RATE_PSI.length),
    throughputWarn: newMixture(RATE_PSI.length),
    catastrophe: newMixture(GROSS_PSI.length),
    placebo: { errors: newMixture(RATE_PSI.length), latency: newMixture(0) },
    total: { test: newMixture(3), dispersion: newDispersion() },
    dispersion: newDispersion(setup.history?.dispersion),
    edgeDispersion: [],
    choice: null,
    learnedMs: 0,
    choices: 0,
    baseline: newBaseline(0),
    safe: newSafe(),
    instant: [],
    gross: [],
    sustained: newSustained(1 + plan.quantiles.length),
    sums: newSums(0),
    rise: newSums(0),
  };
}

/** Every detector of the release: they share one reserve. */
export function mixturesOf(s: State): Mixture[] {
  return [
    s.errors,
    s.latency,
    s.absoluteErrors,
    ...s.absoluteLatency,
    s.split,
    s.throughput,
    s.throughputWarn,
    s.catastrophe,
    s.placebo.errors,
    s.placebo.latency,
    s.total.test,
  ];
}

/** A latency detector that starts now: the mass that the others were fed so far, and the groups known so far. */
export function latencyMixture(edges: number, mass: number, groups: number): Mixture {
  const m = newMixture(edges * BETS_PER_EDGE);
  m.s.fill(mass);
  for (let g = 0; g < groups; g++) addGroup(m);
  return m;
}

function cloneWindow(entries: readonly InstantEntry[]): InstantEntry[] {
  return entries.map((entry) => ({ ...entry, groups: entry.groups.slice() }));
}

/** A copy that the next look may write to; the input stays as it was. */
export function cloneState(s: State): State {
  return {
    ...s,
    pods: s.pods.map((pod) => ({ ...pod })),
    errors: cloneMixture(s.errors),
    latency: cloneMixture(s.latency),
    absoluteErrors: cloneMixture(s.absoluteErrors),
    absoluteLatency: s.absoluteLatency.map(cloneMixture),
    split: cloneMixture(s.split),
    throughput: cloneMixture(s.throughput),
    throughputWarn: cloneMixture(s.throughputWarn),
    catastrophe: cloneMixture(s.catastrophe),
    placebo: { errors: cloneMixture(s.placebo.errors), latency: cloneMixture(s.placebo.latency) },
    total: { test: cloneMixture(s.total.test), dispersion: { ...s.total.dispersion } },
    dispersion: { ...s.dispersion },
    edgeDispersion: s.edgeDispersion.map((d) => ({ ...d })),
    baseline: cloneBaseline(s.baseline),
    safe: cloneSafe(s.safe),
    instant: cloneWindow(s.instant),
    gross: cloneWindow(s.gross),
    ages: cloneAges(s.ages),
    cooling: cloneCooling(s.cooling),
    pairing: s.pairing === null ? null : { ms: s.pairing.ms, arms: copyOf(s.pairing.arms) },
    spread: cloneSpread(s.spread),
    sustained: cloneSustained(s.sustained),
    sums: cloneSums(s.sums),
    rise: cloneSums(s.rise),
  };
}

import type { InstanceTick, Tick } from '../../metrics/tick.ts';
import type { Random } from './random.ts';
import type { Scenario } from './scenario.ts';

export interface TrafficSetup {
  stable: string;
  canary: string;
  /** Requests per second, mean of the day. */
  rps: number;
  baseErrorShare: number;
  canaryInstances: number;
  stableInstances: number;
  edges: number[];
  /** Median latency in ms; the distribution is log-normal with `latencySpread` as its sigma. */
  medianMs: number;
  latencySpread: number;
  scenario: Scenario;
}

/** What the world did in a tick beyond what the judge sees. */
export interface SimulatedTick {
  tick: Tick;
  /** Canary failures beyond what stable's rate would have caused, in expectation removed by the caller. */
  canaryRequests: number;
  canaryErrors: number;
  /** The error share that stable had in truth. */
  baseShare: number;
}

const DAY_S = 86_400;
const DIURNAL = 0.4;
const LOAD_SD = 0.1;
const RATE_LOG_SD = 0.3;
const MEMORY_S = 1800;
const HICCUP_SHARE = 0.5;
const HICCUP_S = 120;

/**
 * Traffic for the judge: Poisson arrivals with a daily swing of 40 % and correlated load (sd 10 %), a base error rate that
 * wanders (log sd 0.3, memory 30 min) on both arms alike, log-normal latencies, and what the scenario adds.
 */
export class Traffic {
  readonly setup: TrafficSetup;
  private readonly random: Random;
  private readonly survival: number[];
  private t = 0;
  private dtMs = 0;
  private requests = 0;
  private load = 0;
  private rate: number;
  private readonly phase: number;
  private incidentUntil = -1;
  private readonly hiccupUntil: number[];
  private drift: number;
  private readonly speeds: number[];
  private nodeOutageUntil = -1;

  constructor(setup: TrafficSetup, random: Random) {
    this.setup = setup;
    this.random = random;
    this.survival = setup.edges.map((edge) => shareAbove(edge, setup.medianMs, setup.latencySpread));
    this.load = random.normal();
    this.rate = random.normal();
    this.phase = random.next() * 2 * Math.PI;
    const instances = setup.canaryInstances + setup.stableInstances;
    this.hiccupUntil = new Array<number>(instances).fill(-1);
    const { driftLogSd, nodeLogSd } = setup.scenario;
    this.drift = driftLogSd > 0 ? random.normal() : 0;
    this.speeds = Array.from({ length: instances }, () => (nodeLogSd > 0 ? Math.exp(nodeLogSd * random.normal()) : 1));
  }

  /** The world moves on by `dtMs`: load, error rate, incidents. */
  pass(dtMs: number): void {
    const { setup, random } = this;
    const seconds = dtMs / 1000;
    this.dtMs = dtMs;
    this.t += seconds;
    this.wander(seconds);
    const day = 1 + DIURNAL * Math.sin((2 * Math.PI * this.t) / DAY_S + this.phase);
    this.requests = random.poisson(setup.rps * seconds * day * Math.max(0.1, 1 + LOAD_SD * this.load));
  }

  /** What is counted of that time with the canary at `weight` (0..1). */
  count(weight: number): SimulatedTick {
    const { setup, random, requests, dtMs } = this;
    const toCanary = random.binomial(requests, weight);
    const drift = Math.exp(RATE_LOG_SD * this.rate - RATE_LOG_SD ** 2 / 2);
    const incident = this.t < this.incidentUntil ? setup.scenario.incidentShare : 0;
    const baseShare = Math.min(1, setup.baseErrorShare * drift + incident);
    const harmed = this.t * 1000 > setup.scenario.onsetMs;
    const { errorShare, slowdown } = setup.scenario;
    const canaryShare = harmed && errorShare !== null ? Math.min(1, errorShare * drift + incident) : baseShare;
    const slower = this.environmentFactor();
    const own = slower * (harmed ? slowdown : 1) * this.coldFactor();
    const canary = this.arm(setup.canary, setup.canaryInstances, toCanary, canaryShare, own, 0);
    const stable = this.arm(
      setup.stable,
      setup.stableInstances,
      requests - toCanary,
      baseShare,
      slower,
      setup.canaryInstances,
    );
    const versions = { [setup.stable]: stable, [setup.canary]: canary };
    let canaryErrors = 0;
    for (const row of canary) canaryErrors += row.errors;
    return {
      tick: { t: this.t, dtMs, edges: setup.edges, versions },
      canaryRequests: toCanary,
      canaryErrors,
      baseShare,
    };
  }

  /** What slows both arms alike. */
  private environmentFactor(): number {
    const { driftLogSd, outageFactor, outageMs } = this.setup.scenario;
    const drift = driftLogSd > 0 ? Math.exp(driftLogSd * this.drift) : 1;
    return this.t * 1000 <= outageMs ? drift * outageFactor : drift;
  }

  /** How much slower a cold canary still is: the excess falls to a tenth within `coldMs`, and goes on falling. */
  private coldFactor(): number {
    const { coldFactor, coldMs } = this.setup.scenario;
    return coldFactor === 1 ? 1 : 1 + (coldFactor - 1) * 10 ** ((-this.t * 1000) / coldMs);
  }

  private wander(seconds: number): void {
    const { random } = this;
    const keep = Math.exp(-seconds / MEMORY_S);
    const fresh = Math.sqrt(1 - keep * keep);
    this.load = keep * this.load + fresh * random.normal();
    this.rate = keep * this.rate + fresh * random.normal();
    const { scenario } = this.setup;
    const { incidentsPerDay, hiccupsPerDay, nodeOutagesPerDay } = scenario;
    const begins = (perDay: number): boolean => perDay > 0 && random.next() < (perDay * seconds) / DAY_S;
    if (begins(incidentsPerDay)) this.incidentUntil = this.t + scenario.incidentMs / 1000;
    if (begins(nodeOutagesPerDay)) this.nodeOutageUntil = this.t + scenario.nodeOutageMs / 1000;
    if (scenario.driftLogSd > 0) {
      const kept = Math.exp(-dtShare(seconds, scenario.driftMs));
      this.drift = kept * this.drift + Math.sqrt(1 - kept * kept) * random.normal();
    }
    if (hiccupsPerDay <= 0) return;
    for (let i = 0; i < this.hiccupUntil.length; i++) {
      if (begins(hiccupsPerDay)) this.hiccupUntil[i] = this.t + HICCUP_S;
    }
  }

  private arm(
    name: string,
    count: number,
    requests: number,
    share: number,
    slowdown: number,
    first: number,
  ): InstanceTick[] {
    const { random, setup } = this;
    const rows: InstanceTick[] = [];
    const alike = slowdown === 1 ? this.survival : this.survivalAt(slowdown);
    let left = requests;
    for (let i = 0; i < count; i++) {
      const n = i === count - 1 ? left : random.binomial(left, 1 / (count - i));
      left -= n;
      const hiccup = this.t < this.hiccupUntil[first + i]!;
      const out = first + i === 0 && this.t < this.nodeOutageUntil;
      const failing = hiccup ? HICCUP_SHARE : out ? setup.scenario.nodeOutageShare : 0;
      const errors = failing > 0 ? random.binomial(n, failing) : this.failures(n, share);
      const speed = this.speeds[first + i]!;
      const over = this.over(n, speed === 1 ? alike : this.survivalAt(slowdown * speed));
      rows.push({ instance: `${name}/${i + 1}`, requests: n, errors, over });
    }
    return rows;
  }

  private survivalAt(slowdown: number): number[] {
    const { edges, medianMs, latencySpread } = this.setup;
    return edges.map((edge) => shareAbove(edge / slowdown, medianMs, latencySpread));
  }

  /** Failures of an instance: independent, or in geometric clusters with the scenario's mean size. */
  private failures(n: number, share: number): number {
    const { random } = this;
    const { burst } = this.setup.scenario;
    if (burst <= 1) return random.binomial(n, share);
    let errors = 0;
    for (let clusters = random.poisson((n * share) / burst); clusters > 0; clusters--) {
      errors += 1 + Math.floor(Math.log(1 - random.next()) / Math.log(1 - 1 / burst));
    }
    return Math.min(n, errors);
  }

  /** Requests above each edge, from the lowest up: each is a part of those above the edge before. */
  private over(n: number, survival: readonly number[]): number[] {
    const counts: number[] = [];
    let left = n;
    let before = 1;
    for (const share of survival) {
      left = left > 0 && before > 0 ? this.random.binomial(left, Math.min(1, share / before)) : 0;
      before = share;
      counts.push(left);
    }
    return counts;
  }
}

function dtShare(seconds: number, memoryMs: number): number {
  return (seconds * 1000) / memoryMs;
}

/** Share of a log-normal above an edge. */
export function shareAbove(edgeMs: number, medianMs: number, sigma: number): number {
  return normalTail(Math.log(edgeMs / medianMs) / sigma);
}

/** P(Z > z): Abramowitz & Stegun 26.2.17, absolute error below 7.5e-8. */
function normalTail(z: number): number {
  const x = Math.abs(z);
  const t = 1 / (1 + 0.2316419 * x);
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return z >= 0 ? tail : 1 - tail;
}

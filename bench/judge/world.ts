import { type Random, randomOf } from '../../src/analysis/simulate/random.ts';
import { parseScenario } from '../../src/analysis/simulate/scenario.ts';
import { type SimulatedTick, shareAbove, Traffic } from '../../src/analysis/simulate/traffic.ts';
import type { Counts } from './rivals/rule.ts';

const MEDIAN_MS = 50;
const LATENCY_SPREAD = 0.7;

export interface WorldSettings {
  rps: number;
  base: number;
  /** As `davy simulate` reads it. */
  scenario?: string;
  canaryInstances?: number;
  stableInstances?: number;
  edges?: number[];
  weight?: number;
}

/** The benchmark's traffic: what `davy simulate` uses, and a baseline of the canary's size for Kayenta. */
export class World {
  private readonly traffic: Traffic;
  private readonly random: Random;
  private readonly weight: number;
  /** For each edge, the part of the requests above the edge before that is above it too. */
  private readonly beyond: number[];
  t = 0;
  bad = 0;

  constructor(settings: WorldSettings, seed: number) {
    this.random = randomOf(seed ^ 0x5bd1e995);
    this.weight = settings.weight ?? 0.1;
    const survival = (settings.edges ?? []).map((edge) => shareAbove(edge, MEDIAN_MS, LATENCY_SPREAD));
    this.beyond = survival.map((share, i) => Math.min(1, share / (survival[i - 1] ?? 1)));
    this.traffic = new Traffic(
      {
        stable: 'v1',
        canary: 'v2',
        rps: settings.rps,
        baseErrorShare: settings.base,
        canaryInstances: settings.canaryInstances ?? 1,
        stableInstances: settings.stableInstances ?? 1,
        edges: settings.edges ?? [],
        medianMs: MEDIAN_MS,
        latencySpread: LATENCY_SPREAD,
        scenario: parseScenario(settings.scenario ?? 'healthy'),
      },
      randomOf(seed),
    );
  }

  /** Failures of `n` requests with probability `p`, from this world's own randomness. */
  draw(n: number, p: number): number {
    return this.random.binomial(n, p);
  }

  /** How many of `requests` healthy ones are slower than each edge: the latency of a fresh baseline. */
  drawOver(requests: number): number[] {
    let left = requests;
    return this.beyond.map((share) => {
      left = this.random.binomial(left, share);
      return left;
    });
  }

  next(dt: number): { seen: SimulatedTick; counts: Counts } {
    this.traffic.pass(dt * 1000);
    const seen = this.traffic.count(this.weight);
    this.t += dt;
    this.bad += seen.canaryErrors - seen.canaryRequests * seen.baseShare;
    let ns = 0;
    let xs = 0;
    for (const row of seen.tick.versions.v1!) {
      ns += row.requests;
      xs += row.errors;
    }
    const nc = seen.canaryRequests;
    const xb = this.random.binomial(nc, seen.baseShare);
    return { seen, counts: { t: this.t, dt, nc, xc: seen.canaryErrors, ns, xs, nb: nc, xb } };
  }
}

import { type Random, randomOf } from '../../src/analysis/simulate/random.ts';
import { parseScenario } from '../../src/analysis/simulate/scenario.ts';
import { type SimulatedTick, Traffic } from '../../src/analysis/simulate/traffic.ts';
import type { Counts } from './rivals/rule.ts';

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
  t = 0;
  bad = 0;

  constructor(settings: WorldSettings, seed: number) {
    this.random = randomOf(seed ^ 0x5bd1e995);
    this.weight = settings.weight ?? 0.1;
    this.traffic = new Traffic(
      {
        stable: 'v1',
        canary: 'v2',
        rps: settings.rps,
        baseErrorShare: settings.base,
        canaryInstances: settings.canaryInstances ?? 1,
        stableInstances: settings.stableInstances ?? 1,
        edges: settings.edges ?? [],
        medianMs: 50,
        latencySpread: 0.7,
        scenario: parseScenario(settings.scenario ?? 'healthy'),
      },
      randomOf(seed),
    );
  }

  /** Failures of `n` requests with probability `p`, from this world's own randomness. */
  draw(n: number, p: number): number {
    return this.random.binomial(n, p);
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

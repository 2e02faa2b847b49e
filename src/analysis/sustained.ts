import type { Arm } from './arms.ts';

/**
 * The sustained rule: a limit broken for the declared time without a break. It is judged on parts of at most 30 s, so
 * that a quiet second is no break; a part without canary requests neither breaks a chain nor adds to it.
 */
export interface Sustained {
  partMs: number;
  nc: number;
  ns: number;
  /** Per limit: events of the running part on either arm. */
  xc: number[];
  xs: number[];
  /** Per limit: how long it has been broken, and what was counted meanwhile. */
  chains: Chain[];
}

export interface Chain {
  ms: number;
  nc: number;
  xc: number;
  ns: number;
  xs: number;
}

/** A limit as this rule reads it: at most `share` of the requests are events. Null: not in force in this step. */
export interface SustainedLimit {
  share: number;
  /** -1: errors; else the index of the latency edge. */
  edge: number;
}

const MAX_PART_MS = 30_000;
const PARTS = 10;

const newChain = (): Chain => ({ ms: 0, nc: 0, xc: 0, ns: 0, xs: 0 });

export function newSustained(limits: number): Sustained {
  const zeros = (): number[] => new Array<number>(limits).fill(0);
  return { partMs: 0, nc: 0, ns: 0, xc: zeros(), xs: zeros(), chains: zeros().map(newChain) };
}

export function cloneSustained(s: Sustained): Sustained {
  return { ...s, xc: s.xc.slice(), xs: s.xs.slice(), chains: s.chains.map((chain) => ({ ...chain })) };
}

const eventsOf = (arm: Arm, edge: number): number => (edge < 0 ? arm.x : (arm.over[edge] ?? 0));

export function stepSustained(
  s: Sustained,
  limits: readonly (SustainedLimit | null)[],
  sustainedMs: number,
  canary: Arm,
  stable: Arm,
  dtMs: number,
): void {
  if (canary.n <= 0) return;
  s.partMs += dtMs;
  s.nc += canary.n;
  s.ns += stable.n;
  limits.forEach((limit, i) => {
    if (limit === null) return;
    s.xc[i]! += eventsOf(canary, limit.edge);
    s.xs[i]! += eventsOf(stable, limit.edge);
  });
  if (s.partMs < Math.min(MAX_PART_MS, sustainedMs / PARTS)) return;
  limits.forEach((limit, i) => {
    const chain = s.chains[i]!;
    if (limit === null || s.xc[i]! <= limit.share * s.nc) s.chains[i] = newChain();
    else {
      chain.ms += s.partMs;
      chain.nc += s.nc;
      chain.xc += s.xc[i]!;
      chain.ns += s.ns;
      chain.xs += s.xs[i]!;
    }
    s.xc[i] = 0;
    s.xs[i] = 0;
  });
  s.partMs = 0;
  s.nc = 0;
  s.ns = 0;
}

import type { Arm } from './arms.ts';
import { type Dispersion, phiOf } from './dispersion.ts';
import { BETS_PER_EDGE, type EdgeChoice } from './edges.ts';
import { LATENCY_PSI } from './kernel.ts';
import { type Mixture, multiply, multiplyCapped } from './mixture.ts';

const nats: number[] = [];
const perEvent = new Array<number>(BETS_PER_EDGE).fill(0);
const perStable = new Array<number>(BETS_PER_EDGE).fill(0);

/**
 * Latency against stable: the same kernel on the counts above each tested edge; E is the mean over edges. The canary is
 * held to stable's share times `ratios[e]`; on finely spaced exponential edges at the edge `shift` places up ("slower by
 * more than a factor"), otherwise at the same edge.
 */
export function stepLatency(
  m: Mixture,
  choice: EdgeChoice,
  ratios: readonly number[],
  canary: Arm,
  stable: Arm,
  groups: readonly Arm[] | null,
  dispersion: readonly Dispersion[],
): void {
  for (let e = 0; e < choice.tested.length; e++) {
    const edge = choice.tested[e]!;
    const above = Math.min(edge + choice.shift, canary.over.length - 1);
    const nc = canary.known[above]!;
    const ns = stable.known[edge]!;
    if (nc <= 0 || ns <= 0) continue;
    const k = (ratios[e]! * nc) / ns;
    for (let i = 0; i < BETS_PER_EDGE; i++) {
      const psi = LATENCY_PSI[i]!;
      const b = Math.min((psi - 1) / (1 + k * psi), 0.99 / k);
      perEvent[i] = Math.log1p(b);
      perStable[i] = Math.log1p(-k * b);
    }
    const xc = canary.over[above]!;
    const xs = stable.over[edge]!;
    if (xc === 0 && xs === 0) continue;
    const phi = dispersion[e] === undefined ? 1 : phiOf(dispersion[e]!);
    for (let i = 0; i < BETS_PER_EDGE; i++) {
      const rest = xs * perStable[i]!;
      const at = e * BETS_PER_EDGE + i;
      if (groups === null) multiply(m, at, (xc * perEvent[i]! + rest) / phi);
      else {
        nats.length = groups.length;
        for (let g = 0; g < groups.length; g++) {
          const group = groups[g]!;
          nats[g] = (group.over[above]! * perEvent[i]! + (group.known[above]! / nc) * rest) / phi;
        }
        multiplyCapped(m, at, nats);
      }
    }
  }
}

/** Latency when stable has no traffic: shares above each edge against `tolerated[e]`, known from before. */
export function stepLatencyAlone(
  m: Mixture,
  choice: EdgeChoice,
  tolerated: readonly number[],
  canary: Arm,
  groups: readonly Arm[] | null,
  dispersion: readonly Dispersion[],
): void {
  for (let e = 0; e < choice.tested.length; e++) {
    const edge = choice.tested[e]!;
    const limit = tolerated[e]!;
    const nc = canary.known[edge]!;
    if (limit >= 1 || nc <= 0) continue;
    const phi = dispersion[e] === undefined ? 1 : phiOf(dispersion[e]!);
    for (let i = 0; i < BETS_PER_EDGE; i++) {
      const b = LATENCY_PSI[i]! - 1;
      const gain = Math.log1p(b);
      const at = e * BETS_PER_EDGE + i;
      if (groups === null) multiply(m, at, (canary.over[edge]! * gain - nc * limit * b) / phi);
      else {
        nats.length = groups.length;
        for (let g = 0; g < groups.length; g++) {
          nats[g] = (groups[g]!.over[edge]! * gain - groups[g]!.known[edge]! * limit * b) / phi;
        }
        multiplyCapped(m, at, nats);
      }
    }
  }
}

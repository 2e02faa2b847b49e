import type { Arm } from './arms.ts';
import { GROSS_PSI, RATE_PSI, tunedBet } from './kernel.ts';
import { type Mixture, multiply, multiplyCapped } from './mixture.ts';

/** One comparison of the canary's events with a tolerated rate: `ratio` times stable's, plus `plus`. */
export interface RateTest {
  ratio: number;
  plus: number;
  psi: readonly number[];
  /** A guess of stable's rate from the past; only tunes the bets. */
  guess: number;
  phi: number;
}

/** Events of the canary by instance group: evidence is capped per group. */
export type Groups = readonly { n: number; x: number }[];

const nats: number[] = [];

/**
 * One look of a relative test (`ns` > 0), or of an absolute one (`ratio` 0, then stable's counts are not read).
 * `groups` null: no caps.
 */
export function stepRate(
  m: Mixture,
  test: RateTest,
  nc: number,
  xc: number,
  ns: number,
  xs: number,
  groups: Groups | null,
): void {
  if (nc <= 0 || (test.ratio > 0 && ns <= 0)) return;
  const k = test.ratio > 0 ? (test.ratio * nc) / ns : 0;
  const tolerated = test.ratio * test.guess + test.plus;
  const s = tolerated > 0 ? (test.ratio * test.guess) / tolerated : 1;
  for (let i = 0; i < test.psi.length; i++) {
    const b = tunedBet(test.psi[i]!, s, k);
    const perEvent = Math.log1p(b);
    const rest = (k > 0 && xs > 0 ? xs * Math.log1p(-k * b) : 0) - nc * test.plus * b;
    if (groups === null) multiply(m, i, (xc * perEvent + rest) / test.phi);
    else {
      nats.length = groups.length;
      for (let g = 0; g < groups.length; g++) {
        const group = groups[g]!;
        nats[g] = (group.x * perEvent + (group.n / nc) * rest) / test.phi;
      }
      multiplyCapped(m, i, nats);
    }
  }
}

/** One look of an absolute limit: canary events above `limit`. */
export function stepAbsolute(
  m: Mixture,
  limit: number,
  canary: Arm1,
  groups: Groups,
  phi: number,
  guard: boolean,
): void {
  const test = { ratio: 0, plus: limit, psi: RATE_PSI, guess: 0, phi };
  stepRate(m, test, canary.n, canary.x, 0, 0, guard ? groups : null);
}

type Arm1 = Groups[number];

/**
 * The catastrophe test, without caps: the canary loses more requests (failed, or without an answer in time) than stable does by at least
 * 1/instances + 10 points, which one dead instance cannot explain. `stable` null, or without traffic: the same share is an absolute limit.
 */
export function stepCatastrophe(m: Mixture, instances: number, canary: Arm, stable: Arm | null, guess: number): void {
  const ns = stable?.ended ?? 0;
  const plus = 1 / Math.max(1, instances) + 0.1;
  if (plus >= 0.95) return;
  const test = { ratio: ns > 0 ? 1 : 0, plus, psi: GROSS_PSI, guess, phi: 1 };
  stepRate(m, test, canary.ended, canary.lost, ns, stable?.lost ?? 0, null);
}

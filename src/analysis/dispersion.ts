import { type Arm, eventsOf, requestsOf } from './arms.ts';

/**
 * How much more stable's failures cluster on instances than independent ones would: the variance of each instance's share
 * of a tick's events over its binomial variance. Evidence is divided by phi = max(1, a / b) of past ticks; clusters of up
 * to phi failures on one arm then keep E[e] <= 1 (Jensen: E[e^(m/phi)] <= 1 for m <= phi).
 */
export interface Dispersion {
  a: number;
  b: number;
}

const HALF_LIFE_MS = 29 * 3_600_000;
const PRIOR = 20;

export function newDispersion(before?: Dispersion): Dispersion {
  return before === undefined ? { a: PRIOR, b: PRIOR } : { a: before.a + PRIOR, b: before.b + PRIOR };
}

export function phiOf(d: Dispersion): number {
  return Math.max(1, d.a / d.b);
}

/** Learns from one tick of stable's instances; `edge` is -1 for errors, else the index of a latency edge. */
export function learn(d: Dispersion, each: readonly Arm[], edge: number, dtMs: number): void {
  if (each.length < 2) return;
  let n = 0;
  let total = 0;
  for (const arm of each) {
    n += requestsOf(arm, edge);
    total += eventsOf(arm, edge);
  }
  if (n <= 0 || total <= 0) return;
  const keep = 2 ** (-dtMs / HALF_LIFE_MS);
  let a = 0;
  let b = 0;
  for (const arm of each) {
    const share = requestsOf(arm, edge) / n;
    const off = eventsOf(arm, edge) - total * share;
    a += off * off;
    b += total * share * (1 - share);
  }
  d.a = d.a * keep + a;
  d.b = d.b * keep + b;
}

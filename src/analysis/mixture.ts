/**
 * The detector: a weighted Shiryaev-Roberts mixture over bets and start times (Shin, Ramdas & Rinaldo, arXiv 2203.03532,
 * with weights that sum to 1, so that it stays an e-process and Ville's inequality bounds a false alarm over any horizon).
 *
 * Every component starts with a quarter of its mass; the reserve of three quarters is fed in over the horizon, half of it
 * evenly and half by the logarithm of the release's age, so that a regression at hour 1 or hour 12 finds almost as much
 * fresh mass as one at the start. E = mean(s) + reserve, E_0 = 1, and P(sup E >= 1/a) <= a while the release is harmless.
 * The reserve moves alike in every detector, so a release keeps one.
 */
export interface Mixture {
  s: number[];
  /** For each instance group, the same components without that group's evidence. */
  without: number[][];
  /** For each instance group, what it may still add to each component, in nats. */
  room: number[][];
}

/** Evidence of one instance group may grow by this many nats at once, and regains `CAP_NATS` of it per `CAP_WINDOW_MS`. */
const CAP_ROOM = 2.5;
const CAP_NATS = 1.25;
const CAP_WINDOW_MS = 30_000;

/** Mass of every component at the start; the rest of 1 is the reserve. */
export const FIRST_MASS = 0.2;
/** Share of the reserve that is fed evenly; the rest goes with the logarithm of the age. */
const EVEN_SHARE = 0.4;
/** Ages below this count alike for the logarithmic half of the feed. */
const YOUNG_MS = 300_000;

const MAX_STEP = 500;
const MAX_MASS = 1e290;

export function newMixture(size: number): Mixture {
  return { s: new Array<number>(size).fill(FIRST_MASS), without: [], room: [] };
}

export function cloneMixture(m: Mixture): Mixture {
  return { s: m.s.slice(), without: m.without.map((w) => w.slice()), room: m.room.map((r) => r.slice()) };
}

/** A group that appears now: leaving it out leaves everything so far. */
export function addGroup(m: Mixture): void {
  m.without.push(m.s.slice());
  m.room.push(refillRoom(m.s.length));
}

/**
 * Mass that leaves the reserve in the `dtMs` after age `ageMs`: half of it evenly over the horizon, half in proportion to
 * 1 / (age + 5 min), and in ever smaller parts once a tenth is left.
 */
export function releasedMass(reserve: number, ageMs: number, dtMs: number, horizonMs: number): number {
  const even = (EVEN_SHARE * dtMs) / horizonMs;
  const early = ((1 - EVEN_SHARE) * Math.log1p(dtMs / (ageMs + YOUNG_MS))) / Math.log1p(horizonMs / YOUNG_MS);
  const planned = Math.min(reserve, (1 - FIRST_MASS) * (even + early));
  return reserve > (1 - FIRST_MASS) / 10 ? planned : Math.min(planned, (reserve * 10 * dtMs) / horizonMs);
}

/** Feeds reserve mass into every component; done once per look, before the evidence of that look. */
export function feed(m: Mixture, mass: number): void {
  for (let k = 0; k < m.s.length; k++) m.s[k]! += mass;
  for (const w of m.without) for (let k = 0; k < w.length; k++) w[k]! += mass;
}

function grown(mass: number, nats: number): number {
  return Math.min(mass * Math.exp(Math.min(nats, MAX_STEP)), MAX_MASS);
}

/** Multiplies component `k` by exp(nats) in every view: evidence that belongs to no instance, or is not guarded. */
export function multiply(m: Mixture, k: number, nats: number): void {
  m.s[k] = grown(m.s[k]!, nats);
  for (const w of m.without) w[k] = grown(w[k]!, nats);
}

/** Room of a group that has used none of it, for `size` components. */
export function refillRoom(size: number): number[] {
  return new Array<number>(size).fill(CAP_ROOM);
}

/** Lowers every component to at most `mass` (the detector starts again): evidence may always be thrown away. */
export function restart(m: Mixture, mass: number): void {
  for (const row of [m.s, ...m.without]) for (let k = 0; k < row.length; k++) row[k] = Math.min(row[k]!, mass);
}

/** Lets each group's room grow back with time. */
export function refill(m: Mixture, dtMs: number): void {
  const back = (CAP_NATS * dtMs) / CAP_WINDOW_MS;
  for (const r of m.room) for (let k = 0; k < r.length; k++) r[k] = Math.min(CAP_ROOM, r[k]! + back);
}

/**
 * Multiplies component `k` by the evidence of each group, capped per group. A cap that is known beforehand only lowers
 * an e-value, so the bound holds; it keeps one instance's burst of correlated failures from deciding alone.
 * `nats` is overwritten with what was let through.
 */
export function multiplyCapped(m: Mixture, k: number, nats: number[]): void {
  let sum = 0;
  for (let g = 0; g < nats.length; g++) {
    const room = m.room[g]!;
    const allowed = Math.min(nats[g]!, room[k]!);
    // What counts is the net growth: evidence for the instance gives room back, or ordinary ups and downs would use it up.
    room[k] = Math.min(CAP_ROOM, room[k]! - allowed);
    nats[g] = allowed;
    sum += allowed;
  }
  m.s[k] = grown(m.s[k]!, sum);
  for (let g = 0; g < nats.length; g++) {
    const w = m.without[g]!;
    w[k] = grown(w[k]!, sum - nats[g]!);
  }
}

export function evidence(m: Mixture, reserve: number): number {
  return mean(m.s) + reserve;
}

export function evidenceWithout(m: Mixture, group: number, reserve: number): number {
  return mean(m.without[group] ?? m.s) + reserve;
}

/** Takes a group's evidence out for good (its instance was found at fault). Only ever lowers evidence. */
export function dropGroup(m: Mixture, group: number): void {
  const kept = m.without[group];
  if (kept === undefined) return;
  for (let k = 0; k < m.s.length; k++) {
    const lower = Math.min(m.s[k]!, kept[k]!);
    m.s[k] = lower;
    for (const w of m.without) w[k] = Math.min(w[k]!, lower);
  }
}

function mean(values: readonly number[]): number {
  let sum = 0;
  for (const v of values) sum += v;
  return values.length === 0 ? 0 : sum / values.length;
}

import type { Arm } from './arms.ts';
import type { StableHistory } from './judge.ts';

/**
 * What stable did lately: fading sums (mean age 24 h) and the spread of its ten-minute rates. They tune bets (a wrong guess
 * costs only power), choose latency edges, and stand in for stable where it has no traffic of its own. Minutes that differ
 * grossly from what is known already (an incident) stay out, unless they last.
 */
export interface Baseline {
  n: number;
  x: number;
  over: number[];
  /** Lost requests (failed, or without an answer in time) of those that ended: more than `x` of `n` where answers are late. */
  ended: number;
  lost: number;
  /** An earlier hour was known when the release began. */
  known: boolean;
  /** The running minute, and for how long minutes have been left out without a break. */
  minute: Block;
  leftOutMs: number;
  /** The running ten-minute block and the fading moments of finished ones: weight, sums and sums of squares of rates. */
  block: Block;
  weight: number;
  rates: number[];
  squares: number[];
}

type Counts = Pick<Arm, 'n' | 'x' | 'over' | 'ended' | 'lost'>;

interface Block extends Counts {
  ms: number;
}

const MEAN_AGE_MS = 24 * 3_600_000;
const MINUTE_MS = 60_000;
const BLOCK_MS = 600_000;
/** Guess of stable's error share before anything was seen; only tunes the first bets. */
const FIRST_GUESS = 0.001;
const FIRST_GUESS_REQUESTS = 100;
/** A minute is abnormal when a share is so many times the known one, and not by a handful of requests. */
const ABNORMAL_FACTOR = 3;
const ABNORMAL_EVENTS = 10;
/** So many normal requests must be known before a minute can be called abnormal. */
const KNOWN_REQUESTS = 300;
/** What is abnormal for longer than this is the new normal. */
const NEW_NORMAL_MS = 1_800_000;

export function newBaseline(edges: number): Baseline {
  return {
    ...{ n: 0, x: 0, over: new Array<number>(edges).fill(0), ended: 0, lost: 0, known: false },
    ...{ minute: newBlock(edges), leftOutMs: 0, block: newBlock(edges) },
    ...{ weight: 0, rates: [], squares: [] },
  };
}

function newBlock(edges: number): Block {
  return { ms: 0, n: 0, x: 0, over: new Array<number>(edges).fill(0), ended: 0, lost: 0 };
}

export function cloneBaseline(b: Baseline): Baseline {
  const copy = (block: Block): Block => ({ ...block, over: block.over.slice() });
  return {
    ...b,
    over: b.over.slice(),
    minute: copy(b.minute),
    block: copy(b.block),
    rates: b.rates.slice(),
    squares: b.squares.slice(),
  };
}

/** Starts from an earlier hour whose abnormal minutes were left out already. */
export function takeHistory(b: Baseline, history: StableHistory): void {
  b.n = history.requests;
  b.x = history.errors;
  b.over = history.over.slice();
  b.ended = history.requests;
  b.lost = history.errors;
  b.known = true;
  b.weight = history.blocks?.weight ?? 0;
  b.rates = history.blocks?.rates.slice() ?? [];
  b.squares = history.blocks?.squares.slice() ?? [];
}

/** One look of stable. `gates`: edges at which an abnormal minute shows. */
export function rememberNormal(b: Baseline, stable: Arm, gates: readonly number[], dtMs: number): void {
  const { minute } = b;
  if (minute.over.length !== stable.over.length) b.minute = newBlock(stable.over.length);
  addTo(b.minute, stable, dtMs);
  // Until something is known there is no yardstick, and waiting a minute would leave the first bets without a guess.
  if (b.n >= KNOWN_REQUESTS && b.minute.ms < MINUTE_MS) return;
  const finished = b.minute;
  b.minute = newBlock(stable.over.length);
  if (isAbnormal(b, finished, gates) && b.leftOutMs < NEW_NORMAL_MS) {
    b.leftOutMs += finished.ms;
    return;
  }
  b.leftOutMs = 0;
  keepMinute(b, finished);
}

function addTo(block: Block, arm: Counts, dtMs: number): void {
  block.ms += dtMs;
  block.n += arm.n;
  block.x += arm.x;
  block.ended += arm.ended;
  block.lost += arm.lost;
  for (let j = 0; j < block.over.length; j++) block.over[j]! += arm.over[j] ?? 0;
}

function isAbnormal(b: Baseline, minute: Block, gates: readonly number[]): boolean {
  if (b.n < KNOWN_REQUESTS || minute.n <= 0) return false;
  const off = (events: number, known: number): boolean =>
    events > ABNORMAL_EVENTS && events > ABNORMAL_FACTOR * Math.max(known / b.n, 0.001) * minute.n;
  return off(minute.x, b.x) || gates.some((edge) => off(minute.over[edge]!, b.over[edge]!));
}

function keepMinute(b: Baseline, minute: Block): void {
  const keep = Math.exp(-minute.ms / MEAN_AGE_MS);
  b.n = b.n * keep + minute.n;
  b.x = b.x * keep + minute.x;
  b.ended = b.ended * keep + minute.ended;
  b.lost = b.lost * keep + minute.lost;
  for (let j = 0; j < b.over.length; j++) b.over[j] = b.over[j]! * keep + minute.over[j]!;
  if (b.block.over.length !== minute.over.length) b.block = newBlock(minute.over.length);
  addTo(b.block, minute, minute.ms);
  if (b.block.ms < BLOCK_MS) return;
  endBlock(b);
}

function endBlock(b: Baseline): void {
  const { block } = b;
  b.block = newBlock(block.over.length);
  if (block.n <= 0) return;
  const fade = Math.exp(-block.ms / MEAN_AGE_MS);
  b.weight = b.weight * fade + 1;
  for (let m = 0; m <= block.over.length; m++) {
    const rate = (m === 0 ? block.x : block.over[m - 1]!) / block.n;
    b.rates[m] = (b.rates[m] ?? 0) * fade + rate;
    b.squares[m] = (b.squares[m] ?? 0) * fade + rate * rate;
  }
}

/** Stable's error share as a guess for tuning bets. */
export function guessedShare(b: Baseline): number {
  return (b.x + FIRST_GUESS * FIRST_GUESS_REQUESTS) / (b.n + FIRST_GUESS_REQUESTS);
}

/** The share of its requests that stable loses. */
export function lostShare({ ended, lost }: Baseline): number {
  return ended > 0 ? lost / ended : 0;
}

/**
 * Upper 99 % bound of a mean rate from `events` of `requests`: the root of the Poisson Chernoff bound
 * exp(-(mu - x)^2 / (2 mu)) = 0.01, i.e. mu = x + L + sqrt(L^2 + 2 L x) with L = ln 100.
 */
function upperBound(events: number, requests: number): number | null {
  if (requests <= 0) return null;
  const l = Math.log(100);
  return Math.min(1, (events + l + Math.sqrt(l * l + 2 * l * events)) / requests);
}

/** Upper bound of stable's error share over the last day: of its mean, and of its ten-minute rates when they vary more. */
export function upperErrorShare(b: Baseline): number | null {
  return widened(b, 0, upperBound(b.x, b.n));
}

/** The same for the share above an edge. */
export function upperEdgeShare(b: Baseline, edge: number): number | null {
  return widened(b, edge + 1, upperBound(b.over[edge] ?? 0, b.n));
}

function widened(b: Baseline, metric: number, mean: number | null): number | null {
  if (mean === null || b.weight < 3) return mean;
  const average = (b.rates[metric] ?? 0) / b.weight;
  const spread = Math.sqrt(Math.max(0, (b.squares[metric] ?? 0) / b.weight - average * average));
  return Math.min(1, Math.max(mean, average + 2.33 * spread));
}

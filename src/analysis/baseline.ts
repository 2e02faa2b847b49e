import type { Arm } from './arms.ts';

/**
 * What stable did lately: fading sums (mean age 24 h) and the spread of its ten-minute rates. They tune bets (a wrong
 * guess costs only power) and stand in for stable once it has no traffic of its own.
 */
export interface Baseline {
  n: number;
  x: number;
  over: number[];
  /** The running ten-minute block and the fading moments of finished blocks: weight, sum and sum of squares of rates. */
  blockMs: number;
  blockN: number;
  blockX: number;
  blocks: [number, number, number];
}

const MEAN_AGE_MS = 24 * 3_600_000;
const BLOCK_MS = 600_000;
/** Guess of stable's error share before anything was seen; only tunes the first bets. */
const FIRST_GUESS = 0.001;
const FIRST_GUESS_REQUESTS = 100;

export function newBaseline(edges: number): Baseline {
  const over = new Array<number>(edges).fill(0);
  return { n: 0, x: 0, over, blockMs: 0, blockN: 0, blockX: 0, blocks: [0, 0, 0] };
}

export function cloneBaseline(b: Baseline): Baseline {
  return { ...b, over: b.over.slice(), blocks: [...b.blocks] };
}

export function remember(b: Baseline, stable: Arm, dtMs: number): void {
  const keep = Math.exp(-dtMs / MEAN_AGE_MS);
  b.n = b.n * keep + stable.n;
  b.x = b.x * keep + stable.x;
  for (let j = 0; j < b.over.length; j++) b.over[j] = b.over[j]! * keep + stable.over[j]!;
  b.blockMs += dtMs;
  b.blockN += stable.n;
  b.blockX += stable.x;
  if (b.blockMs < BLOCK_MS) return;
  if (b.blockN > 0) {
    const rate = b.blockX / b.blockN;
    const fade = Math.exp(-b.blockMs / MEAN_AGE_MS);
    b.blocks = [b.blocks[0] * fade + 1, b.blocks[1] * fade + rate, b.blocks[2] * fade + rate * rate];
  }
  b.blockMs = 0;
  b.blockN = 0;
  b.blockX = 0;
}

/** Stable's error share as a guess for tuning bets. */
export function guessedShare(b: Baseline): number {
  return (b.x + FIRST_GUESS * FIRST_GUESS_REQUESTS) / (b.n + FIRST_GUESS_REQUESTS);
}

/**
 * Upper 99 % bound of a mean rate from `events` of `requests`: the root of the Poisson Chernoff bound
 * exp(-(mu - x)^2 / (2 mu)) = 0.01, i.e. mu = x + L + sqrt(L^2 + 2 L x) with L = ln 100.
 */
export function upperBound(events: number, requests: number): number | null {
  if (requests <= 0) return null;
  const l = Math.log(100);
  return Math.min(1, (events + l + Math.sqrt(l * l + 2 * l * events)) / requests);
}

/** Upper bound of stable's error share over the last day: of its mean, and of its ten-minute rates when they vary more. */
export function upperErrorShare(b: Baseline): number | null {
  const mean = upperBound(b.x, b.n);
  const [weight, sum, squares] = b.blocks;
  if (mean === null || weight < 3) return mean;
  const average = sum / weight;
  const spread = Math.sqrt(Math.max(0, squares / weight - average * average));
  return Math.min(1, Math.max(mean, average + 2.33 * spread));
}

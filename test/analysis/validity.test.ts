import { describe, expect, it } from 'vitest';
import { race, type Sample, validity } from '../../bench/judge/experiments.ts';

const HOUR = 3600;
const RUNS = Number(process.env.JUDGE_RUNS ?? 150);

/** The most runs out of `n` that may pass a bound: its mean and four standard deviations. */
function atMost(n: number, bound: number): number {
  return n * bound + 4 * Math.sqrt(n * bound * (1 - bound));
}

function reached(samples: readonly Sample[], key: string, level: number): number {
  return samples.filter((sample) => sample[key]! >= level).length;
}

/** The table of bounds at a reduced size; `npm run bench:judge` runs it in full. */
describe('evidence over many simulated releases', () => {
  it.each([
    ['equal arms', 'equal', 'harm', 0.001],
    ['a canary at exactly the tolerated rate, rare errors', 'tolerance', 'harm', 0.0001],
    ['a canary at exactly the tolerated rate', 'tolerance', 'harm', 0.005],
    ['a canary at exactly the margin, as proof of safety', 'margin', 'safe', 0.001],
  ] as const)('stays within its bounds for %s', (_, at, key, base) => {
    const samples = Array.from({ length: RUNS }, (_, seed) => validity({ rps: 100, base }, at, 12 * HOUR, seed + 1));
    for (const bound of [0.1, 0.05, 0.01])
      expect(reached(samples, key, 1 / bound)).toBeLessThanOrEqual(atMost(RUNS, bound));
  });

  it('has power: it finds 0.1 → 0.5 % at 100 rps within six minutes of 30 s looks, and half failing within 2 s', () => {
    const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1]!;
    const slow = Array.from({ length: 41 }, (_, seed) =>
      race({ rps: 100, base: 0.001, scenario: 'errors:0.5%' }, null, HOUR, 30, seed),
    );
    const quick = Array.from({ length: 41 }, (_, seed) =>
      race({ rps: 1000, base: 0.001, scenario: 'errors:50%' }, null, 60, 1, seed),
    );
    expect(median(slow.map((sample) => sample['davy|at'] ?? HOUR))).toBeLessThanOrEqual(360);
    expect(median(quick.map((sample) => sample['davy|at'] ?? HOUR))).toBeLessThanOrEqual(2);
  });
});

import { describe, expect, it } from 'vitest';
import { randomOf } from './random.ts';

function momentsOf(draw: () => number, count: number): { mean: number; variance: number } {
  let sum = 0;
  let squares = 0;
  for (let i = 0; i < count; i++) {
    const value = draw();
    sum += value;
    squares += value * value;
  }
  const mean = sum / count;
  return { mean, variance: squares / count - mean * mean };
}

describe('seeded random numbers', () => {
  it.each([
    [5, 0.001],
    [30, 0.16],
    [30, 0.5],
    [60, 0.45],
    [100, 0.9],
    [3000, 0.2],
    [500, 0.0005],
  ])('binomial(%d, %d) has the right mean and variance', (n, p) => {
    const random = randomOf(7);
    const count = 40_000;
    const { mean, variance } = momentsOf(() => random.binomial(n, p), count);
    const spread = Math.sqrt((n * p * (1 - p)) / count);
    expect(Math.abs(mean - n * p)).toBeLessThan(5 * spread);
    expect(variance / (n * p * (1 - p))).toBeGreaterThan(0.9);
    expect(variance / (n * p * (1 - p))).toBeLessThan(1.1);
  });

  it.each([0.01, 3, 39, 200])('poisson(%d) has the right mean and variance', (wanted) => {
    const random = randomOf(8);
    const { mean, variance } = momentsOf(() => random.poisson(wanted), 40_000);
    expect(Math.abs(mean - wanted)).toBeLessThan(5 * Math.sqrt(wanted / 40_000));
    expect(variance / wanted).toBeGreaterThan(0.85);
    expect(variance / wanted).toBeLessThan(1.15);
  });

  it('repeats itself with the same seed only', () => {
    const draws = (seed: number): number[] => {
      const random = randomOf(seed);
      return Array.from({ length: 20 }, () => random.next());
    };
    expect(draws(1)).toEqual(draws(1));
    expect(draws(1)).not.toEqual(draws(2));
  });
});

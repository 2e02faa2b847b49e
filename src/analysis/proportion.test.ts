import { describe, expect, it } from 'vitest';
import { wilson95 } from './proportion.ts';

describe('the interval of a share', () => {
  it.each([
    // successes, trials, low, high: the published example values of the score interval.
    [20, 200, 0.0656, 0.1494],
    [0, 10, 0, 0.2775],
    [10, 10, 0.7225, 1],
  ])('%i of %i', (successes, trials, low, high) => {
    const interval = wilson95(successes, trials);
    expect(interval.low).toBeCloseTo(low, 3);
    expect(interval.high).toBeCloseTo(high, 3);
  });
  it('knows nothing without trials', () => {
    expect(wilson95(0, 0)).toEqual({ low: 0, high: 1 });
  });
});

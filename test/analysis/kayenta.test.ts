import { describe, expect, it } from 'vitest';
import { type ClassifierSettings, classify, shiftOf } from '../../bench/judge/rivals/mann-whitney.ts';
import { AROUND_10, AROUND_20, CONTROL_10, CONTROL_20 } from './kayenta-vectors.ts';

const settings = (direction: ClassifierSettings['direction']): ClassifierSettings => ({
  fraction: 0.1,
  confidence: 0.95,
  direction,
});

describe("the benchmark's Mann-Whitney judge gives the values of Kayenta's public test vectors", () => {
  it('interval and estimate of the shift', () => {
    const found = shiftOf([10, 20, 30, 40], [1, 2, 3, 4], 0.95);
    expect(found.low).toBeCloseTo(6, 5);
    expect(found.high).toBeCloseTo(39, 5);
    expect(found.estimate).toBeCloseTo(22.5, 5);
  });

  it.each([
    ['pass metric', AROUND_10, CONTROL_10, 'either', 'pass'],
    ['high metric', AROUND_20, CONTROL_10, 'either', 'high'],
    ['low metric', AROUND_10, CONTROL_20, 'either', 'low'],
    ['directional, increase only, low data', AROUND_10, CONTROL_20, 'increase', 'pass'],
    ['directional, decrease only, high data', AROUND_20, CONTROL_10, 'decrease', 'pass'],
    ['directional, high metric', AROUND_20, CONTROL_10, 'increase', 'high'],
    ['directional, low metric', AROUND_10, CONTROL_20, 'decrease', 'low'],
    ['tied observations', [1, 1, 1], [1, 1], 'decrease', 'pass'],
    ['identical populations', [1, 2, 3, 4, 5], [5, 4, 3, 2, 1], 'decrease', 'pass'],
    ['leading zero', [0, 1, 1, 1, 1], [1, 1, 1, 1, 1], 'decrease', 'pass'],
    ['missing experiment data', [], [1, 2, 3, 4, 5], 'decrease', 'nodata'],
  ] as const)('%s', (_, experiment, control, direction, wanted) => {
    expect(classify(experiment, control, settings(direction))).toBe(wanted);
  });
});

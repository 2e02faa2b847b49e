import { expect, it } from 'vitest';
import { backOffMs } from './back-off.ts';

it.each([
  [1, 200],
  [2, 400],
  [6, 6_400],
  [7, 10_000],
  [1_000_000, 10_000],
])('after %i failures in a row the wait is %i ms', (failures, waitMs) => {
  expect(backOffMs(failures, { firstMs: 200, longestMs: 10_000 })).toBe(waitMs);
});

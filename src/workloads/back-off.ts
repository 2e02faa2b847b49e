import { backOffMs } from '../lib/back-off.ts';

const START_AGAIN = { firstMs: 200, longestMs: 30_000 };

/** A process that stayed ready this long has recovered: its next death starts from the shortest wait again. */
export const recoveredAfterMs = 30_000;

/**
 * Wait before start number `failuresInARow` + 1: doubles from 200 ms to 30 s; the upper half is jitter (`random` 0..1),
 * so that instances that died together do not come back together.
 */
export function startAgainMs(failuresInARow: number, random: number): number {
  return backOffMs(failuresInARow, START_AGAIN) * (0.5 + 0.5 * random);
}

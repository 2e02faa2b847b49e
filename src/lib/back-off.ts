/** How long to wait after failures: `firstMs` after the first one, twice as long after each further one, never longer than `longestMs`. */
export interface BackOff {
  firstMs: number;
  longestMs: number;
}

/** The wait (ms) after `failuresInARow` failures, at least 1. */
export function backOffMs(failuresInARow: number, { firstMs, longestMs }: BackOff): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failuresInARow - 1, 30));
}

/** floor(2^32 / golden ratio): the additive recurrence with the least discrepancy (Weyl 1916; Knuth, TAOCP vol. 3, 6.4). */
const GOLDEN = 0x9e3779b9;
const TWO_32 = 2 ** 32;

/**
 * Chooses the canary for `weightBp` of 10,000 requests. The additive recurrence spreads the chosen ones evenly: over any n
 * requests the count is within a few of n·w (independent draws stray by sqrt(n·w·(1-w))), and unlike "every tenth" it does
 * not lock onto a periodic pattern of requests, because its step is irrational to every period.
 */
export class Splitter {
  private state: number;

  /** `phase` is any 32-bit integer; each process starts at its own. */
  constructor(phase: number) {
    this.state = phase >>> 0;
  }

  /** The next place in the split, 0..9999; the canary has the places below its weight. */
  nextPlace(): number {
    this.state = (this.state + GOLDEN) >>> 0;
    return Math.floor((this.state * 10_000) / TWO_32);
  }

  choosesCanary(weightBp: number): boolean {
    return this.nextPlace() < weightBp;
  }
}

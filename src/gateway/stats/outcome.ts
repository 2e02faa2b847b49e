import type { TallyData } from './report.ts';

/** How a request, or one try of it, ended as far as the version is concerned. */
export const TIMEOUT = -1;
export const RESET = -2;
/** The client left before the answer was complete: no fault of the version, but its waiting time counts. */
export const ABORTED = -3;
/** The gateway ended it by a limit or for a want of its own: it says nothing about the version, neither good nor bad. */
export const OWN = -4;
/** A status code (100..599), or one of the above. */
export type Outcome = number;

/** Whether the outcome is a failure of the version in the sense of ejection, retries and exposure. */
export function isFailure(outcome: Outcome): boolean {
  return outcome >= 500 || outcome === TIMEOUT || outcome === RESET;
}

/** Whether it speaks neither for nor against the instance that was asked. */
export function isNeutral(outcome: Outcome): boolean {
  return outcome === ABORTED || outcome === OWN;
}

/**
 * Istio's `istio_request_duration_milliseconds` edges; a route's own edges are merged into them.
 */
const ISTIO_EDGES_MS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

/** The union of Istio's edges and a route's, ascending. */
export function mergedEdges(edgesMs: readonly number[]): number[] {
  return [...new Set([...ISTIO_EDGES_MS, ...edgesMs])].sort((a, b) => a - b);
}

/** Counts of one instance in one cohort. All arrays are typed: nothing is allocated per request. */
export class OutcomeTally {
  edges: Float64Array;
  /** `bins[i]`: durations in (edges[i-1], edges[i]]; the last one is beyond every edge. */
  bins: Float64Array;
  durationMsSum = 0;
  requests = 0;
  timeouts = 0;
  resets = 0;
  aborted = 0;
  unjudged = 0;
  readonly classes = new Float64Array(6);

  constructor(edgesMs: readonly number[]) {
    this.edges = Float64Array.from(edgesMs);
    this.bins = new Float64Array(edgesMs.length + 1);
  }

  /** Returns the bin that the duration went into. */
  add(outcome: Outcome, durationMs: number): number {
    const bin = this.binOf(durationMs);
    this.count(outcome, durationMs, bin);
    return bin;
  }

  /** As `add`, with the bin of a tally that has the same edges: looking it up is most of the cost. */
  count(outcome: Outcome, durationMs: number, bin: number): void {
    this.requests++;
    this.durationMsSum += durationMs;
    if (outcome > 0) this.classes[(outcome / 100) | 0]!++;
    else if (outcome === TIMEOUT) this.timeouts++;
    else if (outcome === RESET) this.resets++;
    else if (outcome === ABORTED) this.aborted++;
    else this.unjudged++;
    this.bins[bin]!++;
  }

  /** Index of the first edge that is not below the duration. */
  binOf(durationMs: number): number {
    const edges = this.edges;
    let low = 0;
    let high = edges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (edges[middle]! < durationMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Takes on other edges. What was counted before moves with its bin's upper edge: differences between two later
   * readings are exact, totals since the start are exact only for edges that were there all along.
   */
  rebin(edgesMs: readonly number[]): void {
    if (edgesMs.length === this.edges.length && edgesMs.every((edge, i) => edge === this.edges[i])) return;
    const old = { edges: this.edges, bins: this.bins };
    this.edges = Float64Array.from(edgesMs);
    this.bins = new Float64Array(edgesMs.length + 1);
    for (let i = 0; i < old.bins.length; i++) {
      const upper = old.edges[i] ?? Number.POSITIVE_INFINITY;
      this.bins[this.binOf(upper)]! += old.bins[i]!;
    }
  }

  data(): TallyData {
    const { durationMsSum, requests, timeouts, resets, aborted, unjudged } = this;
    const lists = { edges: [...this.edges], bins: [...this.bins], classes: [...this.classes] };
    return { ...lists, durationMsSum, requests, timeouts, resets, aborted, unjudged };
  }
}

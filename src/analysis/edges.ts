import { LATENCY_PSI } from './kernel.ts';

/** Which latency edges are tested, fixed once from what stable did before and never changed within a release. */
export interface EdgeChoice {
  /** Edges (indexes) of the detector. */
  tested: number[];
  /** The canary is held to the edge this many places further up instead of to a ratio of shares; 0: to the ratio. */
  shift: number;
  /** Edges nearest to stable's p50, p95 and p99: the promotion gates. None when stable exceeds every edge too often for any of them. */
  gates: number[];
}

const LOWEST_SHARE = 0.0015;
const HIGHEST_SHARE = 0.7;
const MAX_TESTED = 12;
const GATE_SHARES = [0.5, 0.05, 0.01];
/** Above this a margin of one and a half times the share says nothing: it is passed by anything. */
const HIGHEST_GATE_SHARE = 0.6;
/** An edge that stable exceeds this many times more often than wanted says nothing of the tail: a higher one is taken, even one never reached. */
const TAIL_FACTOR = 4;
/** Edges that grow by a constant factor up to this are fine enough to compare shifted instead of by ratio. */
const FINE_FACTOR = 1.2;
/** "Slower by more than 9 %": one bucket at OpenTelemetry's exponential scale 3. */
const TOLERATED_FACTOR = 1.09;

/** @param over stable's counts above each edge of `requests` earlier requests. */
export function chooseEdges(edges: readonly number[], requests: number, over: readonly number[]): EdgeChoice {
  const share = (j: number): number => over[j]! / requests;
  const inRange: number[] = [];
  let firstClean = -1;
  for (let j = 0; j < edges.length; j++) {
    if (share(j) < LOWEST_SHARE) {
      if (firstClean < 0) firstClean = j;
    } else if (share(j) <= HIGHEST_SHARE) inRange.push(j);
  }
  // The lowest edge that stable hardly ever exceeds: anything the canary puts above it is new.
  if (firstClean >= 0) inRange.push(firstClean);
  if (inRange.length === 0 && edges.length > 0) inRange.push(edges.length - 1);
  const shift = shiftOf(edges);
  const usable = inRange.filter((j) => j + shift < edges.length);
  return { tested: thin(usable.length > 0 ? usable : inRange, MAX_TESTED), shift, gates: gateEdges(edges, share) };
}

function shiftOf(edges: readonly number[]): number {
  if (edges.length < 8) return 0;
  const factor = (edges[edges.length - 1]! / edges[0]!) ** (1 / (edges.length - 1));
  if (factor > FINE_FACTOR) return 0;
  for (let j = 1; j < edges.length; j++) if (Math.abs(edges[j]! / edges[j - 1]! / factor - 1) > 0.01) return 0;
  return Math.max(1, Math.round(Math.log(TOLERATED_FACTOR) / Math.log(factor)));
}

function thin(indexes: readonly number[], most: number): number[] {
  if (indexes.length <= most) return [...indexes];
  const out = new Set<number>();
  for (let i = 0; i < most; i++) out.add(indexes[Math.round((i * (indexes.length - 1)) / (most - 1))]!);
  return [...out];
}

function gateEdges(edges: readonly number[], share: (j: number) => number): number[] {
  const out = new Set<number>();
  for (const wanted of GATE_SHARES) {
    let best = -1;
    let bestOff = Number.POSITIVE_INFINITY;
    for (let j = 0; j < edges.length; j++) {
      const p = share(j);
      if (p > Math.min(HIGHEST_GATE_SHARE, TAIL_FACTOR * wanted)) continue;
      const off = Math.abs(Math.log(Math.max(p, 1e-5) / wanted));
      if (off < bestOff) {
        best = j;
        bestOff = off;
      }
    }
    if (best >= 0) out.add(best);
  }
  return [...out].sort((a, b) => a - b);
}

/** Where a latency limit is tested when it is no bucket edge itself. */
export interface LimitEdge {
  index: number;
  /** `exact`; `above`: the next higher edge, a breach there is certain; `below`: the highest edge, still under the limit. */
  kind: 'exact' | 'above' | 'below';
}

/** The edge for an absolute limit; null when nothing is counted. */
export function limitEdge(edges: readonly number[], underMs: number): LimitEdge | null {
  for (let j = 0; j < edges.length; j++) {
    if (edges[j] === underMs) return { index: j, kind: 'exact' };
    if (edges[j]! > underMs) return { index: j, kind: 'above' };
  }
  return edges.length === 0 ? null : { index: edges.length - 1, kind: 'below' };
}

/** Detector components per tested edge. */
export const BETS_PER_EDGE = LATENCY_PSI.length;

import type { Tick } from '../metrics/tick.ts';
import { newAges } from './ages.ts';
import { armsOf } from './arms.ts';
import { type Baseline, newBaseline, rememberNormal } from './baseline.ts';
import { type Dispersion, learn, newDispersion } from './dispersion.ts';
import { chooseEdges } from './edges.ts';
import type { StableHistory } from './judge.ts';
import { learnSpread, newSpread, type Spread } from './spread.ts';
import { problemOf } from './validate-tick.ts';

/**
 * What stable does while nothing is released, collected tick by tick: the yardstick of the next release. The same fading sums
 * that the judge keeps during a release, so minutes that differ grossly from what is known are left out here as well.
 */
export interface StableRecord {
  edges: number[];
  lastT: number | null;
  baseline: Baseline;
  dispersion: Dispersion;
  spread: Spread;
}

/** Fewer requests of stable than this are no yardstick. */
const ENOUGH_REQUESTS = 300;

export function newStableRecord(edges: readonly number[]): StableRecord {
  const size = edges.length;
  return {
    ...{ edges: [...edges], lastT: null, baseline: newBaseline(size) },
    ...{ dispersion: newDispersion(), spread: newSpread(size) },
  };
}

/** Takes one tick of the version `stable` in, or leaves out what no judge would use. Other edges begin another record. */
export function noteStable(record: StableRecord, tick: Tick, stable: string): StableRecord {
  const same = tick.edges.length === record.edges.length && tick.edges.every((edge, j) => edge === record.edges[j]);
  const into = same ? record : newStableRecord(tick.edges);
  if (problemOf(tick, { lastT: into.lastT, edges: into.edges }) !== null) return into;
  into.lastT = tick.t;
  const arms = armsOf(tick, { stable, canary: '', warmupMs: 0, slowEdge: -1 }, [], newAges());
  if (arms.stable.n <= 0) return into;
  learn(into.dispersion, arms.stableEach, -1, tick.dtMs);
  learnSpread(into.spread, arms.stableEach, tick.dtMs);
  rememberNormal(into.baseline, arms.stable, gatesOf(into), tick.dtMs);
  return into;
}

function gatesOf({ edges, baseline }: StableRecord): number[] {
  return baseline.n > 0 ? chooseEdges(edges, baseline.n, baseline.over).gates : [];
}

/** The record as a release begins with it; undefined where stable was hardly seen. */
export function historyOf(record: StableRecord): StableHistory | undefined {
  const { baseline, spread, dispersion } = record;
  if (baseline.n < ENOUGH_REQUESTS) return undefined;
  return {
    ...{ requests: baseline.n, errors: baseline.x, edges: record.edges, over: baseline.over.slice() },
    dispersion: { a: dispersion.a, b: dispersion.b },
    blocks: { weight: baseline.weight, rates: baseline.rates.slice(), squares: baseline.squares.slice() },
    spread: { instances: spread.instances, weights: spread.weights.slice(), variances: spread.variances.slice() },
  };
}

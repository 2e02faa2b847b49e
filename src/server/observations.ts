import { setImmediate } from 'node:timers/promises';
import type { Judge } from '../analysis/judge.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { own } from '../lib/own.ts';
import type { FoldCache } from '../release/fold-cache.ts';
import { foldOn, type PastLook } from '../release/history.ts';
import {
  addLatency,
  emptyLatency,
  type LatencyCounts,
  type LookPoint,
  lookPoint,
  PointSeries,
} from '../release/look-points.ts';
import type { Past } from '../release/past.ts';
import type { FleetState, ReleaseState } from '../release/state.ts';

/** Releases whose history stays in memory, so that a page that asks every second costs one look, not all. */
const MAX_KEPT = 8;
/** Points kept of one release; neighbours are joined beyond it. */
const MAX_POINTS = 600;

/** One look, or several neighbours joined, and what the judge made of the last of them. */
export interface ObservationPoint extends LookPoint {
  verdict: string;
  evidence: number;
  threshold: number;
  metrics: { name: string; evidence: number }[];
}

export interface ReleaseHistory {
  points: ObservationPoint[];
  /** Counts of the last step that was looked at. */
  latency: LatencyCounts;
  release: ReleaseState | null;
}

/** The past as the ledger has it: one release's looks for charts, or the whole fleet as it was. */
export interface PastReader {
  release(id: string): Promise<ReleaseHistory>;
  fleetBefore(seq: number): Promise<FleetState>;
}

export function createPastReader(ledger: Ledger, judge: Judge, folds: FoldCache): PastReader {
  const kept = new Map<string, { past: Past; collector: Collector }>();
  let tail: Promise<unknown> = Promise.resolve();

  /** One fold at a time: two readers do not double the load. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = tail.then(work);
    tail = run.catch(() => {});
    return run;
  }

  return {
    release: (id) =>
      inTurn(async () => {
        const { from, toSeq } = folds.around(id);
        const { past, collector } = kept.get(id) ?? { past: from, collector: new Collector() };
        kept.delete(id);
        const next = await foldOn(past, ledger, judge, {
          beforeSeq: toSeq,
          release: id,
          onLook: (look, release) => collector.add(look, release),
          turn: () => setImmediate(),
        });
        kept.set(id, { past: next, collector });
        if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value as string);
        return { points: collector.points, latency: collector.latency, release: own(next.fleet.releases, id) ?? null };
      }),
    fleetBefore: async (seq) => (await folds.before(seq)).fleet,
  };
}

/** Collects looks into at most `MAX_POINTS` points, and the latencies of the step that was looked at last. */
class Collector {
  readonly #series = new PointSeries<ObservationPoint>(MAX_POINTS);
  latency: LatencyCounts = emptyLatency([]);
  #latencyStep = -1;

  get points(): ObservationPoint[] {
    return this.#series.points;
  }

  add({ seq, atMs, look, judgement }: PastLook, release: ReleaseState): void {
    const versions = { canary: release.version, stable: release.from };
    this.#series.add({
      ...lookPoint({ seq, atMs, look }, versions),
      verdict: judgement.verdict,
      evidence: finite(judgement.evidence.total),
      threshold: judgement.evidence.threshold,
      metrics: judgement.evidence.metrics.map(({ name, evidence }) => ({ name, evidence: finite(evidence) })),
    });
    if (!look.tick) return;
    const { edges } = look.tick;
    if (look.stepIndex !== this.#latencyStep || edges.join() !== this.latency.edgesMs.join()) {
      this.latency = emptyLatency(edges);
      this.#latencyStep = look.stepIndex;
    }
    addLatency(this.latency, look, versions);
  }
}

/** Evidence may grow beyond what JSON carries. */
function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.MAX_VALUE;
}

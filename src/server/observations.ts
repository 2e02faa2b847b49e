import { setImmediate } from 'node:timers/promises';
import type { Judge } from '../analysis/judge.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { InstanceTick } from '../metrics/tick.ts';
import { beginning, foldOn, type Past, type PastLook } from '../release/history.ts';
import type { FleetState, ReleaseState } from '../release/state.ts';

/** Releases whose history stays in memory, so that a page that asks every second costs one look, not all. */
const MAX_KEPT = 8;
/** Points kept of one release; neighbours are joined beyond it. */
const MAX_POINTS = 600;

export interface Arm {
  requests: number;
  errors: number;
}

/** One look, or several neighbours joined: counts are summed, the judgement is the last one's. */
export interface ObservationPoint {
  seq: number;
  atMs: number;
  dtMs: number;
  looks: number;
  step: number;
  weightBp: number;
  canary: Arm;
  stable: Arm;
  /** Why looks in this point saw nothing; null when all saw something. */
  problem: string | null;
  verdict: string;
  evidence: number;
  threshold: number;
  metrics: { name: string; evidence: number }[];
}

export interface LatencyCounts {
  edgesMs: number[];
  canary: { requests: number; over: number[] };
  stable: { requests: number; over: number[] };
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

export function createPastReader(ledger: Ledger, judge: Judge): PastReader {
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
        const { past, collector } = kept.get(id) ?? { past: beginning(), collector: new Collector() };
        kept.delete(id);
        const next = await foldOn(past, ledger, judge, {
          beforeSeq: ledger.head().size,
          release: id,
          onLook: (look, release) => collector.add(look, release),
          turn: () => setImmediate(),
        });
        kept.set(id, { past: next, collector });
        if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value as string);
        return { points: collector.points, latency: collector.latency, release: next.fleet.releases[id] ?? null };
      }),
    fleetBefore: (seq) =>
      inTurn(async () => {
        const options = { beforeSeq: seq, release: null, turn: () => setImmediate() };
        return (await foldOn(beginning(), ledger, judge, options)).fleet;
      }),
  };
}

/** Collects looks into at most `MAX_POINTS` points of equal numbers of looks, whatever their number. */
class Collector {
  points: ObservationPoint[] = [];
  latency: LatencyCounts = emptyLatency([]);
  #looksPerPoint = 1;
  #latencyStep = -1;

  add({ seq, atMs, look, judgement }: PastLook, release: ReleaseState): void {
    const canary = look.tick?.versions[release.version] ?? [];
    const stable = look.tick?.versions[release.from] ?? [];
    const point: ObservationPoint = {
      seq,
      atMs,
      dtMs: look.dtMs,
      looks: 1,
      step: look.stepIndex,
      weightBp: look.weightBp,
      canary: sumArm(canary),
      stable: sumArm(stable),
      problem: look.tick ? null : (look.problem ?? 'no data'),
      verdict: judgement.verdict,
      evidence: finite(judgement.evidence.total),
      threshold: judgement.evidence.threshold,
      metrics: judgement.evidence.metrics.map(({ name, evidence }) => ({ name, evidence: finite(evidence) })),
    };
    const last = this.points.at(-1);
    if (last && last.looks < this.#looksPerPoint && last.step === point.step) {
      this.points[this.points.length - 1] = joined(last, point);
    } else this.points.push(point);
    if (this.points.length > MAX_POINTS) this.#thin();
    if (look.tick) this.#addLatency(look.stepIndex, look.tick.edges, canary, stable);
  }

  #thin(): void {
    this.#looksPerPoint *= 2;
    const thinner: ObservationPoint[] = [];
    for (const point of this.points) {
      const last = thinner.at(-1);
      if (last && last.step === point.step && last.looks + point.looks <= this.#looksPerPoint) {
        thinner[thinner.length - 1] = joined(last, point);
      } else thinner.push(point);
    }
    this.points = thinner;
  }

  #addLatency(step: number, edges: number[], canary: InstanceTick[], stable: InstanceTick[]): void {
    if (step !== this.#latencyStep || edges.join() !== this.latency.edgesMs.join()) {
      this.latency = emptyLatency(edges);
      this.#latencyStep = step;
    }
    addOver(this.latency.canary, canary);
    addOver(this.latency.stable, stable);
  }
}

function joined(a: ObservationPoint, b: ObservationPoint): ObservationPoint {
  return {
    ...b,
    dtMs: a.dtMs + b.dtMs,
    looks: a.looks + b.looks,
    canary: addArm(a.canary, b.canary),
    stable: addArm(a.stable, b.stable),
    problem: b.problem ?? a.problem,
  };
}

function addArm(a: Arm, b: Arm): Arm {
  return { requests: a.requests + b.requests, errors: a.errors + b.errors };
}

function sumArm(ticks: InstanceTick[]): Arm {
  return ticks.reduce<Arm>(addArm, { requests: 0, errors: 0 });
}

function emptyLatency(edgesMs: number[]): LatencyCounts {
  const arm = () => ({ requests: 0, over: edgesMs.map(() => 0) });
  return { edgesMs, canary: arm(), stable: arm() };
}

function addOver(into: { requests: number; over: number[] }, ticks: InstanceTick[]): void {
  for (const tick of ticks) {
    into.requests += tick.requests;
    tick.over.forEach((count, edge) => {
      into.over[edge] = (into.over[edge] ?? 0) + count;
    });
  }
}

/** Evidence may grow beyond what JSON carries. */
function finite(value: number): number {
  return Number.isFinite(value) ? value : Number.MAX_VALUE;
}

import type { Look } from '../analysis/judge.ts';
import { own } from '../lib/own.ts';
import type { InstanceTick } from '../metrics/tick.ts';

/** Requests and failures of one version in some time. */
export interface Arm {
  requests: number;
  errors: number;
}

/** What one look measured, or several neighbours joined: counts are summed, the rest is the last one's. */
export interface LookPoint {
  /** The ledger record that holds the look. */
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
}

/** Latencies of both versions over the same edges: `over[i]` requests were slower than `edgesMs[i]`. */
export interface LatencyCounts {
  edgesMs: number[];
  canary: { requests: number; over: number[] };
  stable: { requests: number; over: number[] };
}

/** The two versions that a release compares. */
export interface Compared {
  canary: string;
  stable: string;
}

export function lookPoint(seen: { seq: number; atMs: number; look: Look }, versions: Compared): LookPoint {
  const { seq, atMs, look } = seen;
  return {
    ...{ seq, atMs, dtMs: look.dtMs, looks: 1, step: look.stepIndex, weightBp: look.weightBp },
    canary: sumArm(own(look.tick?.versions, versions.canary) ?? []),
    stable: sumArm(own(look.tick?.versions, versions.stable) ?? []),
    problem: look.tick ? null : (look.problem ?? 'no data'),
  };
}

/** Keeps at most `max` points of equal numbers of looks, however many looks there are; a point never spans two steps. */
export class PointSeries<P extends LookPoint> {
  points: P[] = [];
  readonly #max: number;
  #looksPerPoint = 1;

  constructor(max: number) {
    this.#max = max;
  }

  add(point: P): void {
    this.#push(this.points, point, (last) => last.looks < this.#looksPerPoint);
    if (this.points.length <= this.#max) return;
    this.#looksPerPoint *= 2;
    const thinner: P[] = [];
    for (const one of this.points) this.#push(thinner, one, (last) => last.looks + one.looks <= this.#looksPerPoint);
    this.points = thinner;
  }

  #push(points: P[], point: P, hasRoom: (last: P) => boolean): void {
    const last = points.at(-1);
    if (last && last.step === point.step && hasRoom(last)) points[points.length - 1] = joined(last, point);
    else points.push(point);
  }
}

function joined<P extends LookPoint>(a: P, b: P): P {
  return {
    ...b,
    dtMs: a.dtMs + b.dtMs,
    looks: a.looks + b.looks,
    canary: addArm(a.canary, b.canary),
    stable: addArm(a.stable, b.stable),
    problem: b.problem ?? a.problem,
  };
}

export function addArm(a: Arm, b: Arm): Arm {
  return { requests: a.requests + b.requests, errors: a.errors + b.errors };
}

function sumArm(ticks: InstanceTick[]): Arm {
  return ticks.reduce<Arm>(addArm, { requests: 0, errors: 0 });
}

export function emptyLatency(edgesMs: number[]): LatencyCounts {
  const arm = () => ({ requests: 0, over: edgesMs.map(() => 0) });
  return { edgesMs, canary: arm(), stable: arm() };
}

/** Adds a look's latencies; `counts` must have the look's edges. */
export function addLatency(counts: LatencyCounts, look: Look, versions: Compared): void {
  addOver(counts.canary, own(look.tick?.versions, versions.canary) ?? []);
  addOver(counts.stable, own(look.tick?.versions, versions.stable) ?? []);
}

function addOver(into: LatencyCounts['canary'], ticks: InstanceTick[]): void {
  for (const tick of ticks) {
    into.requests += tick.requests;
    tick.over.forEach((count, edge) => {
      into.over[edge] = (into.over[edge] ?? 0) + count;
    });
  }
}

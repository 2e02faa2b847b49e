import { performance } from 'node:perf_hooks';
import { seededRandom } from '../lib/seeded-random.ts';
import { createArrivals, createPick } from './arrivals.ts';
import type { Job, OutgoingRequest } from './connection.ts';
import { ConnectionPool } from './connection-pool.ts';
import { createLatencyHistogram, encodeHistogram, latencyFigures, recordMs } from './figures.ts';
import { createMetronome, type Metronome } from './metronome.ts';
import { addressOf, encodeRequest, originOf } from './outgoing.ts';
import { checkPlan, type LoadPlan, type LoadTarget, planDurationMs } from './plan.ts';
import type { LoadLive, LoadResult } from './result.ts';
import {
  createRunFigures,
  hasLatency,
  judgeAnswer,
  mergeTallies,
  type Outcome,
  type RunFigures,
  tallyOutcome,
  targetFigures,
} from './tally.ts';
import { validityOf } from './validity.ts';

export interface LoadRun {
  /** Sends nothing more; what is under way may still end. */
  stop(): void;
  /** Figures since the call before. */
  live(): LoadLive;
  /** Resolves when every request has an outcome. */
  done: Promise<LoadResult>;
}

const sweepMs = 20;
/** Arrivals sent in one turn of the event loop; answers are read in between, however far the schedule is ahead. */
const batchMax = 64;
/** So that a high rate does not cost one wake-up for each request. */
const sleepMinMs = 0.1;
/** Pause of a closed-model connection after a failure, so that a dead service is not hammered. */
const failurePauseMs = 10;

/** Runs a plan in this process. Rejects nothing while it runs: failures are figures. Throws `load/bad-plan` at once. */
export function runLoad(plan: LoadPlan): LoadRun {
  const generator = new Generator(checkPlan(plan));
  return { stop: () => generator.stop(), live: () => generator.live(), done: generator.done };
}

class Generator {
  readonly #plan: LoadPlan;
  readonly #startMs = performance.now();
  readonly #pools: ConnectionPool[];
  readonly #poolOf: ConnectionPool[];
  readonly #requests: OutgoingRequest[];
  readonly #pick: () => number;
  readonly #nextArrival: () => number | null;
  /**
   * Of the warm-up, never read, and of what is measured. Both take the same path to the last branch: code that ran for
   * the first time just when it counts would have the hot functions compiled anew just then.
   */
  readonly #figures: [warmup: RunFigures, measured: RunFigures];
  /** Jobs that have ended, to be used again: less garbage means fewer pauses, which the service would be blamed for. */
  readonly #spare: Job[] = [];
  readonly #finished = Promise.withResolvers<LoadResult>();
  readonly #sweep: NodeJS.Timeout;
  #metronome: Metronome | null = null;
  #deadline: NodeJS.Timeout | undefined;
  #atMeasuring: { cpu: NodeJS.CpuUsage; ms: number } | null = null;
  #warmupEnd: NodeJS.Timeout | undefined;
  #endMs: number | null = null;
  /** What `live` shows and then forgets. */
  readonly #window = { ...emptyWindow(performance.now()), response: createLatencyHistogram() };

  constructor(plan: LoadPlan) {
    const random = seededRandom(plan.seed);
    this.#plan = plan;
    const byOrigin = new Map(plan.targets.map((target) => [originOf(target), this.#createPool(target)]));
    this.#pools = [...byOrigin.values()];
    this.#poolOf = plan.targets.map((target) => byOrigin.get(originOf(target))!);
    this.#requests = plan.targets.map((target) => encodeRequest(target, plan.keepAlive));
    const createFigures = () => createRunFigures(plan.targets.length, plan.model.kind === 'open');
    this.#figures = [createFigures(), createFigures()];
    this.#pick = createPick(
      plan.targets.map((target) => target.weight),
      random,
    );
    this.#nextArrival =
      plan.model.kind === 'open' ? createArrivals(plan.model.arrivals, plan.model.stages, random) : () => null;
    if (plan.warmupMs === 0) this.#beginMeasuring();
    else this.#warmupEnd = setTimeout(() => this.#beginMeasuring(), plan.warmupMs);
    this.#sweep = setInterval(() => this.#sweepOnce(), sweepMs);
    if (plan.model.kind === 'open') {
      this.#metronome = createMetronome();
      this.#pace(this.#nextArrival());
    } else this.#saturate(plan.model.connections, plan.model.durationMs);
  }

  get done(): Promise<LoadResult> {
    return this.#finished.promise;
  }

  stop(): void {
    clearTimeout(this.#deadline);
    this.#metronome?.close();
    this.#endMs ??= performance.now();
  }

  live(): LoadLive {
    const nowMs = performance.now();
    const window = this.#window;
    const at = (percentile: number): number | null =>
      window.response.totalCount === 0 ? null : window.response.getValueAtPercentile(percentile) / 1000;
    const live = {
      elapsedMs: nowMs - this.#startMs,
      intervalMs: nowMs - window.sinceMs,
      offered: window.offered,
      requests: window.requests,
      errors: window.errors,
      outstanding: this.#outstanding(),
      ...{ p50Ms: at(50), p95Ms: at(95), p99Ms: at(99) },
      lagMaxMs: window.lagMaxMs,
    };
    window.response.reset();
    Object.assign(window, emptyWindow(nowMs));
    return live;
  }

  #createPool(target: LoadTarget): ConnectionPool {
    return new ConnectionPool(addressOf(target, this.#plan), this.#plan.maxConnections, () => performance.now(), {
      answered: (job, answer) => {
        const nowMs = performance.now();
        this.#finish(job, judgeAnswer(answer, this.#plan.targets[job.target]!.check), nowMs);
        this.#again(0, nowMs);
      },
      failed: (job, failure) => {
        const nowMs = performance.now();
        this.#finish(job, { error: failure, status: null }, nowMs);
        this.#again(failurePauseMs, nowMs);
      },
      waited: (job, ms) => recordMs(this.#figuresOf(job.intendedMs).pool, ms),
    });
  }

  /** Sends what is due, then sleeps until the next arrival. */
  #pace(next: number | null): void {
    let dueMs = next;
    for (let sent = 0; sent < batchMax; sent++) {
      const nowMs = performance.now();
      if (dueMs === null || this.#startMs + dueMs > nowMs) break;
      this.#arrive(this.#startMs + dueMs, nowMs);
      dueMs = this.#nextArrival();
    }
    if (this.#endMs !== null) return;
    if (dueMs === null) {
      this.#metronome?.close();
      // The schedule's own end, not the moment when it was noticed.
      this.#endMs = this.#startMs + planDurationMs(this.#plan);
      return;
    }
    const wakeMs = Math.max(this.#startMs + dueMs, performance.now() + sleepMinMs);
    this.#metronome?.wakeAt(wakeMs, () => this.#pace(dueMs));
  }

  #saturate(connections: number, durationMs: number): void {
    for (let i = 0; i < connections; i++) {
      const nowMs = performance.now();
      this.#arrive(nowMs, nowMs);
    }
    this.#deadline = setTimeout(() => this.stop(), durationMs);
  }

  /** The closed model's next request. */
  #again(pauseMs: number, nowMs: number): void {
    if (this.#plan.model.kind !== 'closed' || this.#endMs !== null) return;
    if (pauseMs === 0) this.#arrive(nowMs, nowMs);
    else
      setTimeout(() => {
        const laterMs = performance.now();
        if (this.#endMs === null) this.#arrive(laterMs, laterMs);
      }, pauseMs);
  }

  #arrive(intendedMs: number, nowMs: number): void {
    this.#window.offered++;
    this.#window.lagMaxMs = Math.max(this.#window.lagMaxMs, nowMs - intendedMs);
    const figures = this.#figuresOf(intendedMs);
    figures.offered++;
    recordMs(figures.lag, nowMs - intendedMs);
    if (this.#outstanding() >= this.#plan.maxOutstanding) {
      figures.dropped++;
      return;
    }
    const target = this.#pick();
    this.#poolOf[target]!.submit(this.#job(target, intendedMs, nowMs));
  }

  #job(target: number, intendedMs: number, sentMs: number): Job {
    const request = this.#requests[target]!;
    const job = this.#spare.pop();
    if (job === undefined) return { target, intendedMs, lagMs: sentMs - intendedMs, sentMs, request, resent: false };
    job.target = target;
    job.intendedMs = intendedMs;
    job.lagMs = sentMs - intendedMs;
    job.sentMs = sentMs;
    job.request = request;
    job.resent = false;
    return job;
  }

  #figuresOf(intendedMs: number): RunFigures {
    return this.#figures[intendedMs - this.#startMs < this.#plan.warmupMs ? 0 : 1];
  }

  #finish(job: Job, outcome: Outcome, nowMs: number): void {
    const responseMs = nowMs - job.intendedMs;
    this.#window.requests++;
    if (outcome.error !== null) this.#window.errors++;
    if (hasLatency(outcome)) recordMs(this.#window.response, responseMs);
    const figures = this.#figuresOf(job.intendedMs);
    figures.sent++;
    tallyOutcome(figures.perTarget[job.target]!, outcome, responseMs, job.lagMs);
    if (hasLatency(outcome) && outcome.error !== 'pool') recordMs(figures.service, nowMs - job.sentMs);
    if (outcome.status !== null && (this.#endMs === null || nowMs <= this.#endMs)) figures.answeredInTime++;
    this.#spare.push(job);
  }

  #sweepOnce(): void {
    const nowMs = performance.now();
    for (const pool of this.#pools) {
      for (const { job, failure } of pool.expire(nowMs, this.#plan.timeoutMs)) {
        this.#finish(job, { error: failure, status: null }, nowMs);
        this.#again(failurePauseMs, nowMs);
      }
    }
    if (this.#endMs === null || this.#outstanding() > 0) return;
    clearInterval(this.#sweep);
    clearTimeout(this.#warmupEnd);
    for (const pool of this.#pools) pool.close();
    this.#finished.resolve(this.#result(this.#endMs));
  }

  #outstanding(): number {
    let total = 0;
    for (const pool of this.#pools) total += pool.outstanding;
    return total;
  }

  #result(endMs: number): LoadResult {
    const { model, seed, warmupMs } = this.#plan;
    const measuredMs = Math.max(1, endMs - this.#startMs - warmupMs);
    const perSecond = (count: number): number => count / (measuredMs / 1000);
    const kind = model.kind === 'open' ? (`open/${model.arrivals}` as const) : 'closed';
    const [, figures] = this.#figures;
    const { offered, dropped } = figures;
    const { counts, response: latencies, punctual } = mergeTallies(figures.perTarget);
    const response = latencyFigures(latencies, { lag: figures.lag, punctual });
    const lag = latencyFigures(figures.lag);
    const cpuShare = this.#cpuShare();
    return {
      schemaVersion: 1,
      validity: validityOf({ model: kind, cpuShare, offered, dropped, counts, response, lag }),
      ...{ model: kind, seed, durationMs: endMs - this.#startMs, warmupMs },
      offeredPerSecond: perSecond(offered),
      sentPerSecond: perSecond(figures.sent),
      achievedPerSecond: perSecond(figures.answeredInTime),
      ...{ dropped, counts, response },
      service: latencyFigures(figures.service, { lag: figures.lag, punctual: figures.service }),
      ...{ lag, pool: latencyFigures(figures.pool), cpuShare },
      targets: figures.perTarget.map((tally, i) => targetFigures(this.#plan.targets[i]!.name, tally, figures.lag)),
      histograms: {
        response: encodeHistogram(latencies),
        punctual: encodeHistogram(punctual),
        service: encodeHistogram(figures.service),
        lag: encodeHistogram(figures.lag),
        pool: encodeHistogram(figures.pool),
      },
    };
  }

  #beginMeasuring(): void {
    this.#atMeasuring = { cpu: process.cpuUsage(), ms: performance.now() };
  }

  #cpuShare(): number {
    if (this.#atMeasuring === null) return 0;
    const used = process.cpuUsage(this.#atMeasuring.cpu);
    return (used.user + used.system) / 1000 / Math.max(1, performance.now() - this.#atMeasuring.ms);
  }
}

function emptyWindow(sinceMs: number) {
  return { sinceMs, offered: 0, requests: 0, errors: 0, lagMaxMs: 0 };
}

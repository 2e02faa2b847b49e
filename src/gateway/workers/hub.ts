/**
 * Several processes that act as one gateway: they share the ports (SO_REUSEPORT), take the same tables, and their counts add up. A dead one is
 * replaced and given the table in force; the others never notice.
 *
 * The limiter's rate is divided: each worker holds a share, and the shares follow where the requests arrive. They always add up to 1, so the
 * sum never exceeds the limit; a shift of load is followed within a few hundred milliseconds.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { DataPlaneState, EffectiveRoute } from '../../traffic/dataplane.ts';
import type { FaultReport, FaultRule } from '../../traffic/faults.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import { renderExposition } from '../admin/exposition.ts';
import { type Plane, TableRefused } from '../plane.ts';
import { countersOf, mergeReports, type ServiceReport } from '../stats/report.ts';
import type { AnswerMessage, CallMessage, WorkerCalls, WorkerReport } from './protocol.ts';

const CALL_TIMEOUT_MS = 5_000;
const DRAIN_TIMEOUT_MS = 35_000;
const REPORT_EVERY_MS = 200;
const RESPAWN_AFTER_MS = 100;

class WorkerProcess {
  readonly process: ChildProcess;
  lastReport: WorkerReport | null = null;
  private nextId = 1;
  private readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();

  constructor(entry: string, args: string[], env: NodeJS.ProcessEnv, onExit: (worker: WorkerProcess) => void) {
    this.process = fork(entry, args, {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.process.on('message', (message: AnswerMessage) => this.settle(message));
    this.process.on('error', () => {});
    this.process.on('exit', () => {
      for (const { reject } of this.waiting.values()) reject(new Error('the worker ended'));
      this.waiting.clear();
      onExit(this);
    });
  }

  call<K extends keyof WorkerCalls>(
    call: K,
    argument: Parameters<WorkerCalls[K]>[0],
    timeoutMs = CALL_TIMEOUT_MS,
  ): ReturnType<WorkerCalls[K]> {
    const id = this.nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the worker did not answer ${call} within ${timeoutMs} ms`)),
        timeoutMs,
      );
      const end = (): void => {
        clearTimeout(timer);
        this.waiting.delete(id);
      };
      this.waiting.set(id, {
        resolve: (value) => {
          end();
          resolve(value);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      });
      const message: CallMessage = { id, call, argument };
      this.process.send(message, (error) => {
        if (error !== null) this.waiting.get(id)?.reject(error);
      });
    });
    return answer as ReturnType<WorkerCalls[K]>;
  }

  private settle({ id, value, error }: AnswerMessage): void {
    const waiting = this.waiting.get(id);
    if (error === undefined) waiting?.resolve(value);
    else waiting?.reject(error.code === null ? new Error(error.message) : new TableRefused(error.code, error.message));
  }
}

export class Hub implements Plane {
  readonly bootId = randomUUID();
  private readonly entry: string;
  private readonly count: number;
  private readonly stickyKey: Buffer;
  private workers: WorkerProcess[] = [];
  /** What workers that died had counted at their last report. */
  private retained: ServiceReport[] = [];
  private table: RoutingTable | null = null;
  private readonly faults = new Map<string, { rule: FaultRule; endsMs: number }>();
  private demandBefore = new Map<WorkerProcess, Record<string, number>>();
  private stopping = false;
  private readonly reporter: NodeJS.Timeout;

  constructor(entry: string, count: number, stickyKey: Buffer) {
    this.stickyKey = stickyKey;
    this.entry = entry;
    this.count = count;
    for (let i = 0; i < count; i++) this.spawn(false);
    this.reporter = setInterval(() => void this.collect().then(() => this.balance()), REPORT_EVERY_MS);
  }

  pids(): (number | undefined)[] {
    return this.workers.map((worker) => worker.process.pid);
  }

  private spawn(successor: boolean): WorkerProcess {
    const args = ['--worker', String(this.count), ...(successor ? ['--successor'] : [])];
    const env = { ...process.env, DAVY_STICKY_KEY: this.stickyKey.toString('base64') };
    const worker = new WorkerProcess(this.entry, args, env, (dead) => this.onExit(dead));
    this.workers.push(worker);
    return worker;
  }

  private onExit(dead: WorkerProcess): void {
    this.workers = this.workers.filter((worker) => worker !== dead);
    this.demandBefore.delete(dead);
    if (dead.lastReport !== null) {
      // Gauges of a dead process are gone; its counts stay.
      const services = dead.lastReport.services.map((report) => ({ ...report, endpoints: [], extras: {} }));
      this.retained = mergeReports([this.retained, services]);
    }
    if (!this.stopping) setTimeout(() => this.replace(), RESPAWN_AFTER_MS);
  }

  private replace(): void {
    if (this.stopping) return;
    const worker = this.spawn(true);
    const nowMs = performance.now();
    const rules = [...this.faults.values()]
      .filter(({ endsMs }) => endsMs > nowMs)
      .map(({ rule, endsMs }) => ({ ...rule, ttlMs: Math.ceil(endsMs - nowMs) }));
    const ready = this.table === null ? Promise.resolve() : worker.call('apply', this.table);
    ready
      .then(() => (rules.length > 0 ? worker.call('inject', rules) : null))
      .catch(() => worker.process.kill('SIGKILL'));
  }

  /** The first worker decides; the others cannot refuse what it took, so one that fails is started anew. */
  async apply(table: RoutingTable): Promise<void> {
    const [first, ...others] = this.workers;
    if (first === undefined) throw new TableRefused('draining', 'No worker is running at the moment.');
    await first.call('apply', table);
    this.table = table;
    await Promise.all(others.map((worker) => worker.call('apply', table).catch(() => worker.process.kill('SIGKILL'))));
  }

  /** A lease is lost when any worker lost it. */
  async renew(ids: string[]): Promise<string[]> {
    const lost = await Promise.all(this.workers.map((worker) => worker.call('renew', ids)));
    return ids.filter((id) => this.workers.length === 0 || lost.some((list) => list.includes(id)));
  }

  async inject(rules: FaultRule[]): Promise<string | null> {
    const problems = await Promise.all(this.workers.map((worker) => worker.call('inject', rules)));
    const problem = problems.find((one) => one !== null) ?? null;
    const nowMs = performance.now();
    if (problem === null) for (const rule of rules) this.faults.set(rule.id, { rule, endsMs: nowMs + rule.ttlMs });
    return problem;
  }

  async clearFaults(ids: string[] | 'all'): Promise<void> {
    for (const id of ids === 'all' ? [...this.faults.keys()] : ids) this.faults.delete(id);
    await Promise.all(this.workers.map((worker) => worker.call('clearFaults', ids)));
  }

  async faultReports(): Promise<FaultReport[]> {
    const sums = new Map<string, FaultReport>();
    for (const report of (
      await Promise.all(this.workers.map((worker) => worker.call('faultReports', undefined as never)))
    ).flat()) {
      const sum = sums.get(report.id);
      if (sum === undefined) sums.set(report.id, { ...report });
      else {
        sum.matched += report.matched;
        sum.injected += report.injected;
        sum.delayed += report.delayed;
        sum.addedMsSum += report.addedMsSum;
        sum.addedMsMax = Math.max(sum.addedMsMax, report.addedMsMax);
        sum.expiresInMs = Math.max(sum.expiresInMs, report.expiresInMs);
      }
    }
    return [...sums.values()];
  }

  async state(): Promise<DataPlaneState> {
    const states = await Promise.all(this.workers.map((worker) => worker.call('state', undefined as never)));
    const merged = states.reduce<DataPlaneState | null>(
      (sum, state) => (sum === null ? structuredClone(state) : mergeStates(sum, state)),
      null,
    );
    return { ...(merged ?? { term: 0, generation: 0, services: [] }), bootId: this.bootId };
  }

  async counters() {
    return countersOf(this.bootId, Date.now(), performance.now(), await this.collect());
  }

  async exposition(): Promise<string> {
    const reports = await this.collect();
    return renderExposition(
      reports,
      this.workers.flatMap(({ lastReport }) => (lastReport === null ? [] : [lastReport.process])),
    );
  }

  /** Everything counted so far: by those that live, as they last said, and by those that died. */
  private async collect(): Promise<ServiceReport[]> {
    await Promise.all(
      this.workers.map(async (worker) => {
        worker.lastReport = await worker.call('report', undefined as never).catch(() => worker.lastReport);
      }),
    );
    return mergeReports([this.retained, ...this.workers.map(({ lastReport }) => lastReport?.services ?? [])]);
  }

  /** Divides each limit by where its requests arrived since the last look, with a floor so that none starts from nothing. */
  private balance(): void {
    if (this.workers.length === 0) return;
    const floor = 0.1 / this.workers.length;
    const fresh = this.workers.map((worker) => {
      const before = this.demandBefore.get(worker) ?? {};
      const demand = worker.lastReport?.demand ?? {};
      this.demandBefore.set(worker, demand);
      return Object.fromEntries(
        Object.entries(demand).map(([service, asked]) => [service, Math.max(0, asked - (before[service] ?? 0))]),
      );
    });
    const services = Object.keys(Object.assign({}, ...fresh) as Record<string, number>);
    this.workers.forEach((worker, i) => {
      const shares = services.map((service) => {
        const total = fresh.reduce((sum, demand) => sum + (demand[service] ?? 0), 0);
        const part = total === 0 ? 1 / this.workers.length : (fresh[i]?.[service] ?? 0) / total;
        return [service, floor + part * (1 - floor * this.workers.length)];
      });
      worker.call('setShares', Object.fromEntries(shares) as Record<string, number>).catch(() => {});
    });
  }

  async drain(): Promise<void> {
    this.stopping = true;
    clearInterval(this.reporter);
    await Promise.all(
      this.workers.map((worker) => worker.call('drain', undefined as never, DRAIN_TIMEOUT_MS).catch(() => {})),
    );
    for (const worker of this.workers) worker.process.kill('SIGKILL');
  }
}

/** The worst case over processes: what one still does is what is in force. */
function mergeStates(left: DataPlaneState, right: DataPlaneState): DataPlaneState {
  const services = left.services.map((route): EffectiveRoute => {
    const other = right.services.find(({ service }) => service === route.service);
    if (other === undefined) return route;
    return {
      ...route,
      effectiveWeightBp: Math.max(route.effectiveWeightBp, other.effectiveWeightBp),
      leaseExpired: route.leaseExpired && other.leaseExpired,
      exposure:
        route.exposure === null || other.exposure === null
          ? (route.exposure ?? other.exposure)
          : mergeExposures(route.exposure, other.exposure),
    };
  });
  return {
    ...left,
    term: Math.min(left.term, right.term),
    generation: Math.min(left.generation, right.generation),
    services,
  };
}

type Exposure = NonNullable<EffectiveRoute['exposure']>;

function mergeExposures(left: Exposure, right: Exposure): Exposure {
  const first = (a: number | null, b: number | null) => (a === null || b === null ? (a ?? b) : Math.min(a, b));
  const last = (a: number | null, b: number | null) => (a === null || b === null ? (a ?? b) : Math.max(a, b));
  return {
    ...left,
    requests: left.requests + right.requests,
    failures: left.failures + right.failures,
    firstRequestAtMs: first(left.firstRequestAtMs, right.firstRequestAtMs),
    firstFailureAtMs: first(left.firstFailureAtMs, right.firstFailureAtMs),
    lastRequestAtMs: last(left.lastRequestAtMs, right.lastRequestAtMs),
  };
}

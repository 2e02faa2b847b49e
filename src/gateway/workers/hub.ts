/**
 * Several processes that act as one gateway: they share the ports (SO_REUSEPORT), take the same tables, and their counts add up. A dead one is
 * replaced and given the table in force; the others never notice.
 *
 * The limits of a service are held here, whole (`quota/quota-book.ts`): each worker asks for what its requests need.
 */
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { own, setOwn } from '../../lib/own.ts';
import type { DataPlaneState, EffectiveRoute } from '../../traffic/dataplane.ts';
import type { FaultReport, FaultRule } from '../../traffic/faults.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import { tableProblem } from '../../traffic/table-check.ts';
import { renderExposition } from '../admin/exposition.ts';
import { refusedFastReads } from '../net/fast-path.ts';
import { type Plane, TableRefused } from '../plane.ts';
import { keys, quotasOf } from '../quota/quota.ts';
import { QuotaBook } from '../quota/quota-book.ts';
import { machineMonoMs } from '../stats/process-stats.ts';
import { countersOf, mergeReports, type ServiceReport, withoutGauges } from '../stats/report.ts';
import type { EngineEstate, Estate, EstateSocket, SocketHandle, Sockets } from '../succession/estate.ts';
import { type Heritage, noPast, type Past } from '../succession/predecessor.ts';
import { mergeProgress } from './merge-progress.ts';
import { WorkerProcess } from './worker-process.ts';

/** A worker's answer that it has drained may come this much later than the time it had. */
const DRAIN_SLACK_MS = 1_000;
const REPORT_EVERY_MS = 200;
const RESPAWN_AFTER_MS = 100;
const POLL_MS = 10;
/** A call waits this long for a worker that serves; less than its caller waits for the answer. */
const PRESENT_WITHIN_MS = 1_000;

export class Hub implements Plane {
  readonly bootId: string;
  private readonly entry: string;
  private readonly count: number;
  private readonly stickyKey: Buffer;
  private workers: WorkerProcess[] = [];
  /** What workers that died had counted at their last report. */
  private retained: ServiceReport[] = [];
  private table: RoutingTable | null = null;
  private readonly faults = new Map<string, { rule: FaultRule; endsMs: number }>();
  private readonly quotas: QuotaBook<WorkerProcess>;
  /** By place: the listening sockets of the worker there. A dead worker's successor accepts what waits in them. */
  private readonly sockets: Sockets[];
  private readonly past: Past;
  private stopping = false;
  private readonly reporter: NodeJS.Timeout;

  constructor(entry: string, count: number, stickyKey: Buffer, heritage: Heritage | null = null) {
    this.bootId = heritage?.estate.bootId ?? randomUUID();
    this.past = heritage?.past ?? noPast;
    this.stickyKey = stickyKey;
    this.entry = entry;
    this.count = count;
    this.quotas = new QuotaBook({
      processes: count,
      nowMs: () => performance.now(),
      recall: (worker, key) => worker.recall(key),
    });
    this.sockets = Array.from({ length: count }, () => new Map());
    for (let place = 0; place < count; place++) this.spawn(place);
    this.reporter = setInterval(() => void this.collect(), REPORT_EVERY_MS);
  }

  pids(): (number | undefined)[] {
    return this.workers.map((worker) => worker.process.pid);
  }

  private spawn(place: number): void {
    // The worker runs on the same Node.js: what was found of it holds there as well.
    const args = ['--worker', '--by-events', refusedFastReads().join()];
    const env = { ...process.env, DAVY_STICKY_KEY: this.stickyKey.toString('base64') };
    const worker = new WorkerProcess(
      { entry: this.entry, args, env, place },
      {
        exit: (dead) => this.onExit(dead),
        socket: (address, handle) => this.keep(place, address, handle),
        ask: (asker, key, need, left) => void this.answer(asker, key, need, left),
        lateBack: (holder, key, units) => this.quotas.back(holder, key, units),
      },
    );
    this.workers.push(worker);
    this.bringUp(worker).catch(() => worker.process.kill('SIGKILL'));
  }

  private async answer(worker: WorkerProcess, key: string, need: number, left: number): Promise<void> {
    const answer = await this.quotas.ask(worker, key, need, left);
    worker.tell({ grant: key, answer });
  }

  private keep(place: number, address: string, handle: SocketHandle): void {
    this.sockets[place]?.get(address)?.close();
    if (this.stopping) handle.close();
    else this.sockets[place]?.set(address, handle);
  }

  private onExit(dead: WorkerProcess): void {
    this.workers = this.workers.filter((worker) => worker !== dead);
    this.quotas.forget(dead);
    if (dead.lastReport !== null) {
      this.retained = mergeReports([this.retained, withoutGauges(dead.lastReport.services)]);
    }
    if (!this.stopping) setTimeout(() => this.replace(dead.place), RESPAWN_AFTER_MS);
  }

  private replace(place: number): void {
    if (!this.stopping) this.spawn(place);
  }

  /** From its start until it serves as the others do. */
  private async bringUp(worker: WorkerProcess): Promise<void> {
    await worker.ready();
    if (this.table !== null) {
      // A lease goes on for as long as it does where it is in force: the new worker must not grant it anew.
      const other = this.workers.find((one) => one.serves);
      const theirs = await other?.call('estate', undefined as never).catch(() => null);
      const estate = theirs == null ? null : { ...theirs, exposures: {}, tokens: {}, faults: [], departures: {} };
      await this.endow(worker, this.table, estate);
    }
    const nowMs = performance.now();
    const rules = [...this.faults.values()]
      .filter(({ endsMs }) => endsMs > nowMs)
      .map(({ rule, endsMs }) => ({ ...rule, ttlMs: Math.ceil(endsMs - nowMs) }));
    if (rules.length > 0) await worker.call('inject', rules);
    worker.serves = true;
  }

  private endow(worker: WorkerProcess, table: RoutingTable, estate: EngineEstate | null): Promise<void> {
    for (const [address, handle] of this.sockets[worker.place] ?? []) worker.lend(address, handle);
    return worker.call('adopt', { table, estate });
  }

  async estate(): Promise<{ estate: Estate; sockets: EstateSocket[] }> {
    const engines = await Promise.all(
      this.sockets.map(async (_, place) => {
        const worker = this.workers.find((one) => one.place === place);
        return worker?.call('estate', undefined as never).catch(() => null) ?? null;
      }),
    );
    const sockets = this.sockets.flatMap((held, engine) =>
      [...held].map(([address, handle]) => ({ engine, address, handle })),
    );
    this.addTokens(engines);
    return { estate: { bootId: this.bootId, table: this.table, engines }, sockets };
  }

  /** What lies here goes with what the workers have at hand. */
  private addTokens(engines: readonly (EngineEstate | null)[]): void {
    const first = engines.find((engine) => engine !== null);
    for (const { service, rateLimit } of this.table?.services ?? []) {
      if (first == null || rateLimit === null) continue;
      setOwn(first.tokens, service, (own(first.tokens, service) ?? 0) + this.quotas.tokens(keys.rate(service)));
    }
  }

  async adopt({ table, engines }: Estate, sockets: EstateSocket[]): Promise<void> {
    if (table === null) return;
    for (const { engine, address, handle } of sockets) this.keep(engine, address, handle);
    this.table = table;
    this.quotas.define(table.services.flatMap(quotasOf));
    for (const { service } of table.services) {
      const tokens = engines.map((engine) => (engine === null ? undefined : own(engine.tokens, service)));
      const known = tokens.filter((count) => count !== undefined);
      if (known.length > 0)
        this.quotas.fillTo(
          keys.rate(service),
          known.reduce((sum, count) => sum + count, 0),
        );
    }
    const nowMs = performance.now();
    for (const rule of engines.flatMap((engine) => engine?.faults ?? [])) {
      this.faults.set(rule.id, { rule, endsMs: nowMs + rule.ttlMs });
    }
    await Promise.all(this.workers.map((worker) => this.endow(worker, table, engines[worker.place] ?? null)));
  }

  async follow(table: RoutingTable): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.call('follow', table)));
  }

  /** Resolves when every worker serves. One that ends while it starts is replaced as any other. */
  async ready(): Promise<void> {
    while (this.serving.length < this.count) await sleep(POLL_MS);
  }

  private get serving(): WorkerProcess[] {
    return this.workers.filter((worker) => worker.serves);
  }

  /** Those that serve; one that is being replaced gets what it needs when it is there. Rejects when there is none for a while. */
  private async present(): Promise<WorkerProcess[]> {
    const endMs = performance.now() + PRESENT_WITHIN_MS;
    while (this.serving.length === 0) {
      if (performance.now() >= endMs) {
        throw new TableRefused(
          'starting',
          'No worker of the gateway answers yet; the call may be repeated in a moment.',
        );
      }
      await sleep(POLL_MS);
    }
    return this.serving;
  }

  /** The first worker decides; the others cannot refuse what it took, so one that fails is started anew. */
  async apply(table: RoutingTable): Promise<void> {
    const [first, ...others] = await this.present();
    const before = this.table;
    if (tableProblem(table) === null) this.quotas.define(table.services.flatMap(quotasOf));
    try {
      await first?.call('apply', table);
    } catch (error) {
      this.quotas.define(before === null ? [] : before.services.flatMap(quotasOf));
      throw error;
    }
    this.table = table;
    this.past.follow(table);
    const late = this.workers.filter((worker) => worker !== first && !others.includes(worker));
    const take = (worker: WorkerProcess) => worker.call('apply', table).catch(() => worker.process.kill('SIGKILL'));
    late.forEach(take);
    await Promise.all(others.map(take));
    const addresses = new Set(table.services.map(({ listenHost, listenPort }) => `${listenHost}:${listenPort}`));
    for (const held of this.sockets) {
      for (const [address, handle] of held) {
        if (addresses.has(address)) continue;
        handle.close();
        held.delete(address);
      }
    }
  }

  /** A lease is lost when any worker lost it. */
  async renew(ids: string[]): Promise<string[]> {
    const workers = await this.present();
    const lost = await Promise.all(workers.map((worker) => worker.call('renew', ids)));
    return ids.filter((id) => lost.some((list) => list.includes(id)));
  }

  async inject(rules: FaultRule[]): Promise<string | null> {
    const workers = await this.present();
    const problems = await Promise.all(workers.map((worker) => worker.call('inject', rules)));
    const problem = problems.find((one) => one !== null) ?? null;
    const nowMs = performance.now();
    if (problem === null) for (const rule of rules) this.faults.set(rule.id, { rule, endsMs: nowMs + rule.ttlMs });
    return problem;
  }

  async clearFaults(ids: string[] | 'all'): Promise<void> {
    for (const id of ids === 'all' ? [...this.faults.keys()] : ids) this.faults.delete(id);
    // One that is being brought up may have been told of them already.
    const calls = this.workers.map((worker) => ({ worker, call: worker.call('clearFaults', ids) }));
    for (const { call } of calls) call.catch(() => {});
    await Promise.all(calls.filter(({ worker }) => worker.serves).map(({ call }) => call));
  }

  async faultReports(): Promise<FaultReport[]> {
    const sums = new Map<string, FaultReport>();
    const workers = await this.present();
    const lists = await Promise.all(workers.map((worker) => worker.call('faultReports', undefined as never)));
    for (const report of lists.flat()) {
      const sum = sums.get(report.id);
      if (sum === undefined) sums.set(report.id, { ...report });
      else {
        sum.matched += report.matched;
        sum.injected += report.injected;
        sum.delayed += report.delayed;
        sum.addedMsSum += report.addedMsSum;
        sum.held += report.held;
        sum.addedMsMax = Math.max(sum.addedMsMax, report.addedMsMax);
        sum.expiresInMs = Math.max(sum.expiresInMs, report.expiresInMs);
        sum.inForceMs = Math.min(sum.inForceMs, report.inForceMs);
        sum.begun = Math.max(sum.begun, report.begun);
      }
    }
    return [...sums.values()];
  }

  async state(): Promise<DataPlaneState> {
    const workers = await this.present();
    const states = await Promise.all(workers.map((worker) => worker.call('state', undefined as never)));
    const merged = states.reduce<DataPlaneState | null>(
      (sum, state) => (sum === null ? structuredClone(state) : mergeStates(sum, state)),
      null,
    );
    return { ...(merged ?? { term: 0, generation: 0, services: [] }), bootId: this.bootId };
  }

  async counters() {
    const reports = await this.reports();
    return countersOf(this.bootId, Date.now(), machineMonoMs(), reports);
  }

  async exposition(): Promise<string> {
    const reports = await this.reports();
    return renderExposition(
      reports,
      this.workers.flatMap(({ lastReport }) => (lastReport === null ? [] : [lastReport.process])),
    );
  }

  async reports(): Promise<ServiceReport[]> {
    const before = await this.past.reports();
    return mergeReports([await this.collect(), before]);
  }

  /** Everything counted so far: by those that live, as they last said, and by those that died. */
  private async collect(): Promise<ServiceReport[]> {
    await Promise.all(
      this.serving.map(async (worker) => {
        worker.lastReport = await worker.call('report', undefined as never).catch(() => worker.lastReport);
      }),
    );
    return mergeReports([this.retained, ...this.workers.map(({ lastReport }) => lastReport?.services ?? [])]);
  }

  async closePorts(): Promise<void> {
    this.stopping = true;
    // Held here they would go on taking connections that nobody accepts.
    for (const held of this.sockets) for (const handle of held.values()) handle.close();
    for (const held of this.sockets) held.clear();
    await Promise.all(this.workers.map((worker) => worker.call('closePorts', undefined).catch(() => {})));
  }

  async drain(withinMs: number): Promise<void> {
    clearInterval(this.reporter);
    await this.closePorts();
    const patienceMs = withinMs + DRAIN_SLACK_MS;
    await Promise.all(this.workers.map((worker) => worker.call('drain', withinMs, patienceMs).catch(() => {})));
    await this.collect();
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
      ...mergeProgress(route, other),
    };
  });
  return {
    ...left,
    term: Math.min(left.term, right.term),
    generation: Math.min(left.generation, right.generation),
    ...mergeWarnings(left, right),
    services,
  };
}

function mergeWarnings(left: DataPlaneState, right: DataPlaneState): Pick<DataPlaneState, 'warnings'> {
  const warnings = [...new Set([...(left.warnings ?? []), ...(right.warnings ?? [])])];
  return warnings.length === 0 ? {} : { warnings };
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

/**
 * The data plane of one process: listeners, routes, leases, counters. It knows nothing of how it is administered.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import { performance } from 'node:perf_hooks';
import { own, setOwn } from '../lib/own.ts';
import type { CounterSnapshot } from '../metrics/source.ts';
import type { DataPlaneState, EffectiveRoute } from '../traffic/dataplane.ts';
import { FaultBook } from '../traffic/fault-book.ts';
import type { FaultReport, FaultRule } from '../traffic/faults.ts';
import type { RoutingTable, ServiceRoute } from '../traffic/model.ts';
import { tableProblem } from '../traffic/table-check.ts';
import type { GatewayContext } from './context.ts';
import { limits } from './limits.ts';
import { descriptors } from './net/descriptors.ts';
import { Wheel } from './net/wheel.ts';
import { TableRefused } from './plane.ts';
import { Listener } from './proxy/listener.ts';
import { LocalQuotas } from './quota/local.ts';
import type { QuotaSource } from './quota/quota.ts';
import { randomShare } from './random.ts';
import { Route } from './route/route.ts';
import { ServiceState } from './route/service-state.ts';
import { machineMonoMs } from './stats/process-stats.ts';
import { countersOf, type ServiceReport } from './stats/report.ts';
import type { EngineEstate, Sockets } from './succession/estate.ts';
import { readTls, type TlsSettings } from './tls/front.ts';

export interface EngineOptions {
  sharedPorts?: boolean;
  /** Where limits are counted; in this process alone if absent. */
  quotas?: QuotaSource;
  stickyKey?: Buffer;
  lookup?: LookupFunction;
  /** Of the process whose place is taken; a fresh one if absent. */
  bootId?: string;
}

export class Engine {
  readonly bootId: string;
  private readonly context: GatewayContext;
  /** By `host:port`, for the table in force. */
  private readonly listeners = new Map<string, Listener>();
  /** Also of services that left the table: their counts stay readable until the process ends. */
  readonly states = new Map<string, ServiceState>();
  private term = 0;
  private generation = 0;
  private tableText = '';
  private applying: Promise<void> = Promise.resolve();
  draining = false;
  /** Several processes listen on the same ports. */
  private readonly sharedPorts: boolean;
  private readonly quotas: QuotaSource;
  /** Sockets of a process that leaves, until a table names their address. */
  private readonly inherited: Sockets = new Map();
  /** The one in force. */
  table: RoutingTable | null = null;
  /** Listeners that left the table and have clients yet. */
  private readonly leaving = new Set<Promise<void>>();

  constructor(options: EngineOptions = {}) {
    this.bootId = options.bootId ?? randomUUID();
    const stickyKey = options.stickyKey ?? randomBytes(32);
    this.context = { wheel: new Wheel(), faults: new FaultBook(randomShare), stickyKey, lookup: options.lookup };
    this.sharedPorts = options.sharedPorts ?? false;
    this.quotas = options.quotas ?? new LocalQuotas();
  }

  /** Puts a table in force, whole or not at all. Calls are taken one after the other. */
  apply(table: RoutingTable): Promise<void> {
    const turn = this.applying.then(() => this.applyNow(table));
    this.applying = turn.catch(() => {});
    return turn;
  }

  /** Takes the place of another process: its sockets, its table, and what the table does not say. */
  adopt(table: RoutingTable, sockets: Sockets, estate: EngineEstate | null): Promise<void> {
    for (const [address, handle] of sockets) this.inherited.set(address, handle);
    const turn = this.applying.then(() => this.applyNow(table, estate));
    this.applying = turn.catch(() => {});
    return turn;
  }

  private async applyNow(table: RoutingTable, estate: EngineEstate | null = null): Promise<void> {
    const problem = tableProblem(table);
    if (problem !== null) throw new TableRefused('invalid-table', problem);
    if (this.draining) throw new TableRefused('draining', 'The gateway is draining and takes no more tables.');
    const text = JSON.stringify(table);
    this.checkGeneration(table, text);
    const tls = readAllTls(table);
    const opened = await this.openListeners(table);
    this.swap(table, opened, tls);
    if (estate !== null) this.inherit(estate);
    for (const handle of this.inherited.values()) handle.close();
    this.inherited.clear();
    this.term = table.term;
    this.generation = table.generation;
    this.tableText = text;
    this.table = table;
  }

  private checkGeneration(table: RoutingTable, text: string): void {
    const mine = `term ${this.term}, generation ${this.generation}`;
    const theirs = `term ${table.term}, generation ${table.generation}`;
    if (table.term < this.term || table.generation < this.generation) {
      throw new TableRefused('stale-generation', `The table (${theirs}) is older than the one in force (${mine}).`);
    }
    if (
      table.term === this.term &&
      table.generation === this.generation &&
      this.tableText !== '' &&
      text !== this.tableText
    ) {
      throw new TableRefused('generation-conflict', `Another table with ${mine} is in force.`);
    }
  }

  /** Listens on every address that is new; closes them again when one cannot be had. */
  private async openListeners(table: RoutingTable): Promise<Map<string, Listener>> {
    const opened = new Map<string, Listener>();
    for (const config of table.services) {
      const address = addressOf(config);
      if (this.listeners.has(address)) continue;
      const listener = new Listener(config, this.context);
      try {
        const inherited = this.inherited.get(address) ?? null;
        await listener.listen(this.sharedPorts, inherited);
        this.inherited.delete(address);
      } catch (error) {
        for (const other of opened.values()) other.destroy();
        const code = (error as NodeJS.ErrnoException).code ?? 'error';
        throw new TableRefused('port-in-use', `Service ${config.service} cannot listen on ${address} (${code}).`);
      }
      opened.set(address, listener);
    }
    return opened;
  }

  /** From one turn of the event loop to the next: no request sees half of it. */
  private swap(table: RoutingTable, opened: Map<string, Listener>, tls: Map<string, TlsSettings>): void {
    const nowMs = performance.now();
    const addresses = new Set(table.services.map(addressOf));
    const named = new Set(table.services.map((config) => config.service));
    for (const config of table.services) {
      const state = this.states.get(config.service) ?? new ServiceState(config, this.quotas);
      this.states.set(config.service, state);
      const route = new Route(config, state, nowMs, this.context);
      state.adopt(config, route.endpoints, nowMs);
      state.callers.know(named);
      const address = addressOf(config);
      const listener = this.listeners.get(address) ?? (opened.get(address) as Listener);
      this.listeners.set(address, listener);
      listener.use(route, tls.get(config.service) ?? null);
      state.departures.follow(route, this.context.wheel, nowMs);
    }
    for (const [address, listener] of this.listeners) {
      if (addresses.has(address)) continue;
      this.listeners.delete(address);
      const left = listener.drain(limits.drainMs).finally(() => this.leaving.delete(left));
      this.leaving.add(left);
    }
    for (const [service, state] of this.states) if (!named.has(service)) state.retire();
  }

  /** In the turn of the swap: no request is served without it. */
  private inherit(estate: EngineEstate): void {
    const nowMs = performance.now();
    for (const route of this.routes()) {
      const { state, config } = route;
      if (config.canary !== null) route.limitLease(own(estate.leases, config.canary.lease.id) ?? 0, nowMs);
      state.exposure = own(estate.exposures, config.service) ?? state.exposure;
      const tokens = own(estate.tokens, config.service);
      if (tokens !== undefined) state.limits.limiter?.fillTo(tokens, nowMs);
      state.departures.inherit(own(estate.departures, config.service) ?? [], nowMs);
    }
    this.context.faults.inject(estate.faults, nowMs);
  }

  /** What a successor needs besides the table, as of now. */
  estate(): EngineEstate {
    const nowMs = performance.now();
    const faults = this.context.faults.inForce(nowMs);
    const departures: NonNullable<EngineEstate['departures']> = {};
    const estate: EngineEstate = { leases: {}, exposures: {}, tokens: {}, faults, departures };
    for (const route of this.routes()) {
      const { config, state } = route;
      if (route.isLeaseLive(nowMs)) setOwn(estate.leases, config.canary?.lease.id ?? '', route.leaseLeftMs(nowMs));
      if (state.exposure !== null) setOwn(estate.exposures, config.service, { ...state.exposure });
      const { limiter } = state.limits;
      if (limiter !== null) setOwn(estate.tokens, config.service, limiter.tokensAt(nowMs));
      setOwn(departures, config.service, state.departures.reports(nowMs));
    }
    return estate;
  }

  /** The listening sockets by address; without those that cannot be handed on. */
  sockets(): Sockets {
    const sockets: Sockets = new Map();
    for (const [address, { handle }] of this.listeners) if (handle !== null) sockets.set(address, handle);
    return sockets;
  }

  private routes(): Route[] {
    return [...this.listeners.values()].map((listener) => listener.route);
  }

  /** Prolongs leases; returns the ids that had expired or are unknown. */
  renew(leaseIds: readonly string[]): string[] {
    const nowMs = performance.now();
    return leaseIds.filter((id) => {
      for (const route of this.routes()) if (route.renew(id, nowMs)) return false;
      return true;
    });
  }

  /** Puts faults in force or prolongs them; returns what is wrong with them, and then changes nothing. */
  inject(rules: readonly FaultRule[]): string | null {
    return this.context.faults.inject(rules, performance.now());
  }

  clearFaults(ids: readonly string[] | 'all'): void {
    this.context.faults.clear(ids, performance.now());
  }

  faultReports(): FaultReport[] {
    return this.context.faults.reports(performance.now());
  }

  state(): DataPlaneState {
    const nowMs = performance.now();
    const services = this.routes().map(
      (route): EffectiveRoute => ({
        service: route.config.service,
        stable: route.config.stable,
        canary: route.config.canary?.version ?? null,
        decidedWeightBp: route.config.canary?.weightBp ?? 0,
        effectiveWeightBp: route.effectiveWeightBp(nowMs),
        leaseExpired: route.config.canary !== null && !route.isLeaseLive(nowMs),
        exposure: route.state.exposure === null ? null : { ...route.state.exposure },
        ...inProgress(route, nowMs),
      }),
    );
    const warning = descriptors.warning(nowMs);
    const warnings = warning === null ? {} : { warnings: [warning] };
    return { bootId: this.bootId, term: this.term, generation: this.generation, services, ...warnings };
  }

  reports(): ServiceReport[] {
    const nowMs = performance.now();
    const reports = [...this.states.values()].map((state) => state.report(nowMs));
    for (const { route, connections } of this.listeners.values()) {
      const report = reports.find(({ service }) => service === route.config.service);
      if (report !== undefined) report.extras.connections = connections.size;
    }
    return reports;
  }

  counters(): CounterSnapshot {
    return countersOf(this.bootId, Date.now(), machineMonoMs(), this.reports());
  }

  /** Ends at once: every connection is cut. */
  async close(): Promise<void> {
    this.draining = true;
    for (const listener of this.listeners.values()) listener.destroy();
    for (const state of this.states.values()) state.retire();
  }

  /** From here on nothing is accepted; what was accepted goes on. */
  async closePorts(): Promise<void> {
    this.draining = true;
    await Promise.all([...this.listeners.values()].map((listener) => listener.close()));
  }

  /** Finishes what is in progress, at the latest after `withinMs`, and closes every port. */
  async drain(withinMs: number): Promise<void> {
    this.draining = true;
    const drained = [...this.listeners.values()].map((listener) => listener.drain(withinMs));
    await Promise.all([...drained, ...this.leaving]);
    for (const state of this.states.values()) state.retire();
  }

  /** While this process leaves: what its last requests are routed by. Opens nothing. */
  follow(table: RoutingTable): void {
    if (!this.draining || tableProblem(table) !== null) return;
    const services = table.services.filter((config) => this.listeners.has(addressOf(config)));
    const known = { ...table, services };
    this.swap(known, new Map(), readAllTls(known));
  }
}

/** What is in progress on the canary, and on versions that get no more traffic. */
function inProgress({ canary, state }: Route, nowMs: number): Pick<EffectiveRoute, 'canaryInFlight' | 'departed'> {
  const departed = state.departures.reports(nowMs);
  return {
    ...(canary === null ? {} : { canaryInFlight: state.inFlight(canary.version) }),
    ...(departed.length === 0 ? {} : { departed }),
  };
}

function addressOf(config: ServiceRoute): string {
  return `${config.listenHost}:${config.listenPort}`;
}

/** Reads every certificate before anything changes: a table with an unreadable one is refused whole. */
function readAllTls(table: RoutingTable): Map<string, TlsSettings> {
  const settings = new Map<string, TlsSettings>();
  for (const { service, tls } of table.services) {
    if (tls == null) continue;
    try {
      settings.set(service, readTls(tls));
    } catch (error) {
      throw new TableRefused('invalid-table', `services.${service}: tls: ${(error as Error).message}.`);
    }
  }
  return settings;
}

import type { LookupFunction } from 'node:net';
import type { Cohort, OwnAnswers } from '../../metrics/source.ts';
import type { Exposure, InFlight } from '../../traffic/dataplane.ts';
import type { InstanceAddress, ServiceRoute } from '../../traffic/model.ts';
import type { QuotaSource } from '../quota/quota.ts';
import { ServiceLimits } from '../quota/service-limits.ts';
import { random32 } from '../random.ts';
import { Callers } from '../stats/caller-stats.ts';
import { ClientStats } from '../stats/client-stats.ts';
import { InstanceStats } from '../stats/instance-stats.ts';
import { mergedEdges } from '../stats/outcome.ts';
import { noOwnAnswers } from '../stats/own-answers.ts';
import type { ServiceReport } from '../stats/report.ts';
import { noTunnels, tunnelExtras } from '../tunnel/policy.ts';
import { Breaker } from './breaker.ts';
import { Departures } from './departures.ts';
import { Endpoint } from './endpoint.ts';
import { HealthChecker } from './health-check.ts';
import { RetryBudget } from './retry-budget.ts';
import { Splitter } from './splitter.ts';

/** Counters of instances that left the table are kept for this many instances, so that totals do not shrink at once. */
const KEPT_STATS = 2_048;

/** What a service keeps while its routes come and go: counts, limits, outlier states, the split's phase. */
export class ServiceState {
  readonly service: string;
  readonly splitter = new Splitter(random32());
  readonly budget = new RetryBudget();
  readonly own: OwnAnswers = noOwnAnswers();
  /** Own answers by `status flag`, for the exposition. */
  readonly ownCodes = new Map<string, number>();
  exposure: Exposure | null = null;
  readonly limits: ServiceLimits;
  readonly breaker = new Breaker();
  /** Requests that the limiter would have refused in shadow mode. */
  shadowLimited = 0;
  /** Client connections closed at once since there were too many. */
  connectionsRefused = 0;
  readonly tunnels = noTunnels();
  readonly clients = new ClientStats();
  private isSticky = false;
  readonly mirrored = { sent: 0, skipped: 0, failed: 0 };
  private readonly checkers = new Map<Endpoint, HealthChecker>();
  private healthCheck = '';
  readonly callers: Callers;
  edgesMs: number[];
  private histogramEdges: number[];
  private readonly stats = new Map<string, InstanceStats>();
  readonly departures: Departures;
  private endpoints = new Map<string, Endpoint>();

  constructor(route: ServiceRoute, quotas: QuotaSource) {
    this.limits = new ServiceLimits(quotas);
    this.service = route.service;
    this.edgesMs = route.edgesMs;
    this.histogramEdges = mergedEdges(route.edgesMs);
    this.callers = new Callers(this.histogramEdges);
    const { stats } = this;
    this.departures = new Departures({ [Symbol.iterator]: () => stats.values() });
  }

  /** Takes on the settings of a route that comes into force. */
  adopt(route: ServiceRoute, endpoints: Map<string, Endpoint>, nowMs: number): void {
    if (route.edgesMs.join() !== this.edgesMs.join()) {
      this.edgesMs = route.edgesMs;
      this.histogramEdges = mergedEdges(route.edgesMs);
      for (const stats of this.stats.values()) stats.rebin(this.histogramEdges);
      this.callers.rebin(this.histogramEdges);
    }
    this.limits.adopt(route, nowMs);
    for (const endpoint of endpoints.values()) {
      endpoint.places = this.limits.connections(endpoint.id, () => endpoint.closeIdle());
    }
    this.isSticky = route.sticky != null;
    const canary = route.canary;
    if (canary !== null && this.exposure?.release !== canary.release) {
      this.exposure = {
        release: canary.release,
        version: canary.version,
        requests: 0,
        failures: 0,
        firstRequestAtMs: null,
        firstFailureAtMs: null,
        lastRequestAtMs: null,
      };
    }
    for (const [key, endpoint] of this.endpoints) if (!endpoints.has(key)) endpoint.retire();
    this.endpoints = endpoints;
    this.checkHealth(route);
    this.forgetOldStats();
  }

  private checkHealth(route: ServiceRoute): void {
    const config = route.healthCheck ?? null;
    const changed = JSON.stringify(config) !== this.healthCheck;
    this.healthCheck = JSON.stringify(config);
    const wanted = new Set(config === null ? [] : this.endpoints.values());
    for (const [endpoint, checker] of this.checkers) {
      if (wanted.has(endpoint) && !changed) continue;
      checker.stop();
      this.checkers.delete(endpoint);
      if (config === null) endpoint.healthy = true;
    }
    if (config === null) return;
    for (const endpoint of wanted) {
      if (!this.checkers.has(endpoint)) this.checkers.set(endpoint, new HealthChecker(endpoint, config));
    }
  }

  /** The endpoint of an address: the one in use when id, version and address are the same, else a new one. */
  endpointFor(address: InstanceAddress, version: string, nowMs: number, lookup?: LookupFunction): Endpoint {
    const known = this.endpoints.get(endpointKey(address, version));
    if (known !== undefined && known.zone === address.zone) return known;
    const stats = {
      weight: this.statsFor(address.id, version, 'weight'),
      header: this.statsFor(address.id, version, 'header'),
    };
    const endpoint = new Endpoint(address, version, stats, lookup);
    if (this.endpoints.size > 0) endpoint.addedAtMs = nowMs;
    return endpoint;
  }

  /** Counts that nobody reads, for copies of requests. */
  unseenStats(instance: string): { weight: InstanceStats; header: InstanceStats } {
    const stats = new InstanceStats(instance, 'mirror', 'weight', this.histogramEdges);
    return { weight: stats, header: stats };
  }

  private statsFor(instance: string, version: string, cohort: Cohort): InstanceStats {
    const key = `${instance} ${version} ${cohort}`;
    let stats = this.stats.get(key);
    if (stats === undefined) {
      stats = new InstanceStats(instance, version, cohort, this.histogramEdges);
      this.stats.set(key, stats);
    }
    return stats;
  }

  private forgetOldStats(): void {
    if (this.stats.size <= KEPT_STATS) return;
    const inUse = new Set<InstanceStats>();
    for (const endpoint of this.endpoints.values()) inUse.add(endpoint.weightStats).add(endpoint.headerStats);
    for (const [key, stats] of this.stats) {
      if (this.stats.size <= KEPT_STATS) return;
      if (!inUse.has(stats) && stats.flights.size === 0) this.stats.delete(key);
    }
  }

  allEndpoints(): Iterable<Endpoint> {
    return this.endpoints.values();
  }

  report(nowMs: number): ServiceReport {
    const { service, edgesMs, own, ownCodes } = this;
    const endpoints = [...this.endpoints.values()].map((endpoint) => ({
      instance: endpoint.id,
      inFlight: endpoint.inFlight,
      connections: endpoint.open,
      ejected: endpoint.outlier.ejectedUntilMs > nowMs ? 1 : 0,
      healthy: endpoint.healthy ? 1 : 0,
    }));
    const extras = {
      shadow_limited_total: this.shadowLimited,
      mirrored_total: this.mirrored.sent,
      mirror_skipped_total: this.mirrored.skipped,
      mirror_failed_total: this.mirrored.failed,
      active_retries: this.budget.activeRetries,
      active_requests: this.budget.activeRequests,
      connections_refused_total: this.connectionsRefused,
      ...tunnelExtras(this.tunnels),
      ...this.departures.extras(),
    };
    const instances = [...this.stats.values()].map((stats) => stats.report(nowMs));
    const callers = this.callers.reports(nowMs, Date.now());
    const answers = { own: { ...own }, ownCodes: [...ownCodes] };
    const clients = this.clients.data(this.isSticky);
    return { service, edgesMs: [...edgesMs], ...answers, extras, instances, callers, endpoints, clients };
  }

  /** What is in progress on a version. */
  inFlight(version: string): InFlight {
    const sum = { requests: 0, unanswered: 0 };
    for (const stats of this.stats.values()) {
      if (stats.version !== version) continue;
      stats.flights.forEach(({ isAnswered }) => {
        sum.requests++;
        if (!isAnswered) sum.unanswered++;
      });
    }
    return sum;
  }

  retire(): void {
    this.departures.stop();
    for (const checker of this.checkers.values()) checker.stop();
    this.checkers.clear();
    for (const endpoint of this.endpoints.values()) endpoint.retire();
    this.endpoints = new Map();
  }
}

export function endpointKey(address: InstanceAddress, version: string): string {
  return `${version} ${address.id} ${address.host} ${address.port}`;
}

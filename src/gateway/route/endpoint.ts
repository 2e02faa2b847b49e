import type { LookupFunction } from 'node:net';
import { HostAddress } from '../../lib/host-address.ts';
import type { InstanceAddress } from '../../traffic/model.ts';
import type { Upstream } from '../proxy/upstream.ts';
import type { Places } from '../quota/quota.ts';
import { randomShare } from '../random.ts';
import type { InstanceStats } from '../stats/instance-stats.ts';
import { isIn, newOutlier, type Outlier } from './ejection.ts';

/** How long kept connections to an instance are doubted after one closed on a request. */
const DOUBT_MS = 10_000;

/** One instance as the gateway sees it: where it is, how it fares, and the idle connections to it. Survives table changes. */
export class Endpoint {
  readonly id: string;
  readonly version: string;
  readonly host: HostAddress;
  readonly port: number;
  readonly zone: string | null;
  readonly outlier: Outlier = newOutlier();
  readonly weightStats: InstanceStats;
  readonly headerStats: InstanceStats;
  /** Idle keep-alive connections, the last used first. */
  readonly idle: Upstream[] = [];
  inFlight = 0;
  /** Open connections, busy and idle. */
  open = 0;
  /** Places for its connections, over all processes; null: only the gateway's own limit holds. */
  places: Places | null = null;
  /** No longer in the table: connections are closed as they become idle. */
  retired = false;
  /** By active checks, where the route has them. */
  healthy = true;
  /** For copies: the endpoint of the same instance that gets the requests, and so is checked and ejected. */
  judgedBy: Endpoint | null = null;
  /** Monotonic time of its first table, for the slow start; 0: no warm-up (it was there from the beginning). */
  addedAtMs = 0;

  private doubtUntilMs = 0;

  constructor(
    address: InstanceAddress,
    version: string,
    stats: { weight: InstanceStats; header: InstanceStats },
    lookup?: LookupFunction,
  ) {
    this.id = address.id;
    this.version = version;
    this.host = new HostAddress(address.host, { lookup, onMoved: () => this.leaveOldAddress() });
    this.port = address.port;
    this.zone = address.zone;
    this.weightStats = stats.weight;
    this.headerStats = stats.header;
  }

  takesTraffic(nowMs: number): boolean {
    const { healthy, outlier } = this.judgedBy ?? this;
    return healthy && isIn(outlier, nowMs);
  }

  /** A kept connection closed on a request that cannot be repeated: requests of that kind go on new connections for a while. */
  doubtKept(nowMs: number): void {
    this.doubtUntilMs = nowMs + DOUBT_MS;
  }

  doubtsKept(nowMs: number): boolean {
    return nowMs < this.doubtUntilMs;
  }

  retire(): void {
    this.retired = true;
    this.closeIdle();
  }

  closeIdle(): void {
    for (const upstream of this.idle.splice(0)) upstream.close();
  }

  /** Connections to an address that is not in use any more are not used again; what is busy with a request ends it first. */
  private leaveOldAddress(): void {
    for (const upstream of this.idle.filter((one) => one.isElsewhere)) upstream.close();
  }
}

/** Spill over to other zones when less than 1/1.4 of the own zone is fit (Envoy: `overprovisioning_factor` 140). */
const OVERPROVISIONING = 1.4;

/** The instances of one version. */
export class Arm {
  readonly version: string;
  readonly endpoints: Endpoint[];
  /** Those of the gateway's own zone; empty when there is no preference. */
  private readonly near: Endpoint[];
  private readonly slowStartMs: number;
  private cursor = 0;

  constructor(version: string, endpoints: Endpoint[], options: { zone: string | null; slowStartMs: number }) {
    this.version = version;
    this.endpoints = endpoints;
    const { zone } = options;
    const near = zone === null ? [] : endpoints.filter((endpoint) => endpoint.zone === zone);
    this.near = near.length === endpoints.length ? [] : near;
    this.slowStartMs = options.slowStartMs;
  }

  isAvailable(nowMs: number): boolean {
    for (let i = 0; i < this.endpoints.length; i++) if (this.endpoints[i]!.takesTraffic(nowMs)) return true;
    return false;
  }

  /** Whether an instance takes traffic that is not among those. */
  hasOther(nowMs: number, than: readonly Endpoint[]): boolean {
    return this.endpoints.some((endpoint) => endpoint.takesTraffic(nowMs) && !than.includes(endpoint));
  }

  countOut(nowMs: number): number {
    let out = 0;
    for (const endpoint of this.endpoints) if (!endpoint.takesTraffic(nowMs)) out++;
    return out;
  }

  /**
   * The instance with the fewest requests in flight, ties in turn; one that was not tried yet if there is one. When every
   * instance is out, all of them are used again: some answers are better than none.
   */
  pick(nowMs: number, tried: readonly Endpoint[]): Endpoint | null {
    const all = this.endpoints;
    if (all.length === 0) return null;
    if (all.length === 1) return all[0]!;
    this.cursor = (this.cursor + 1) % all.length;
    const near = this.near.length > 0 && randomShare() < this.nearShare(nowMs) ? this.near : all;
    let best = this.leastLoaded(near, nowMs, tried);
    if (best !== null && this.slowStartMs > 0) best = this.warmed(best, near, nowMs, tried);
    best ??= near === all ? null : this.leastLoaded(all, nowMs, tried);
    return best ?? this.leastLoaded(all, nowMs, []) ?? this.leastLoaded(all, -1, tried) ?? all[this.cursor]!;
  }

  private nearShare(nowMs: number): number {
    let fit = 0;
    for (const endpoint of this.near) if (endpoint.takesTraffic(nowMs)) fit++;
    return Math.min(1, (fit / this.near.length) * OVERPROVISIONING);
  }

  /** An instance that is warming up takes its turn only in proportion to its age; otherwise the next best has it. */
  private warmed(best: Endpoint, among: Endpoint[], nowMs: number, tried: readonly Endpoint[]): Endpoint {
    const ageMs = nowMs - best.addedAtMs;
    if (best.addedAtMs === 0 || ageMs >= this.slowStartMs || randomShare() < Math.max(0.1, ageMs / this.slowStartMs))
      return best;
    return this.leastLoaded(among, nowMs, [...tried, best]) ?? best;
  }

  /** `nowMs` < 0: in whatever state they are. */
  private leastLoaded(among: Endpoint[], nowMs: number, tried: readonly Endpoint[]): Endpoint | null {
    let best: Endpoint | null = null;
    const count = among.length;
    for (let i = 0; i < count; i++) {
      const endpoint = among[(this.cursor + i) % count]!;
      if (best !== null && endpoint.inFlight >= best.inFlight) continue;
      if (nowMs >= 0 && !endpoint.takesTraffic(nowMs)) continue;
      if (tried.length > 0 && tried.includes(endpoint)) continue;
      best = endpoint;
    }
    return best;
  }
}

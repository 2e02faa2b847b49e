import type { InstanceAddress } from '../../traffic/model.ts';
import type { Upstream } from '../proxy/upstream.ts';
import type { InstanceStats } from '../stats/instance-stats.ts';
import { isIn, newOutlier, type Outlier } from './ejection.ts';

/** One instance as the gateway sees it: where it is, how it fares, and the idle connections to it. Survives table changes. */
export class Endpoint {
  readonly id: string;
  readonly version: string;
  readonly host: string;
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
  /** No longer in the table: connections are closed as they become idle. */
  retired = false;

  constructor(address: InstanceAddress, version: string, stats: { weight: InstanceStats; header: InstanceStats }) {
    this.id = address.id;
    this.version = version;
    this.host = address.host;
    this.port = address.port;
    this.zone = address.zone;
    this.weightStats = stats.weight;
    this.headerStats = stats.header;
  }

  takesTraffic(nowMs: number): boolean {
    return isIn(this.outlier, nowMs);
  }

  retire(): void {
    this.retired = true;
    for (const upstream of this.idle.splice(0)) upstream.close();
  }
}

/** The instances of one version. */
export class Arm {
  readonly version: string;
  readonly endpoints: Endpoint[];
  private cursor = 0;

  constructor(version: string, endpoints: Endpoint[]) {
    this.version = version;
    this.endpoints = endpoints;
  }

  isAvailable(nowMs: number): boolean {
    for (let i = 0; i < this.endpoints.length; i++) if (this.endpoints[i]!.takesTraffic(nowMs)) return true;
    return false;
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
    const count = this.endpoints.length;
    if (count === 0) return null;
    if (count === 1) return this.endpoints[0]!;
    this.cursor = (this.cursor + 1) % count;
    return (
      this.leastLoaded(nowMs, tried, false) ??
      this.leastLoaded(nowMs, [], false) ??
      this.leastLoaded(nowMs, tried, true)
    );
  }

  private leastLoaded(nowMs: number, tried: readonly Endpoint[], anyState: boolean): Endpoint | null {
    let best: Endpoint | null = null;
    const count = this.endpoints.length;
    for (let i = 0; i < count; i++) {
      const endpoint = this.endpoints[(this.cursor + i) % count]!;
      if (best !== null && endpoint.inFlight >= best.inFlight) continue;
      if (!anyState && !endpoint.takesTraffic(nowMs)) continue;
      if (tried.length > 0 && tried.includes(endpoint)) continue;
      best = endpoint;
    }
    return best;
  }
}

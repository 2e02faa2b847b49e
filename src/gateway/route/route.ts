import type { Cohort } from '../../metrics/source.ts';
import type { ServiceRoute } from '../../traffic/model.ts';
import { ascii, equalsNoCase } from '../http1/bytes.ts';
import type { Head } from '../http1/head.ts';
import { Arm, type Endpoint } from './endpoint.ts';
import { endpointKey, type ServiceState } from './service-state.ts';

const TRUE = ascii('true');

/** A service's route, compiled for the request path. Immutable but for the lease's time. */
export class Route {
  readonly config: ServiceRoute;
  readonly state: ServiceState;
  readonly stable: Arm;
  readonly canary: Arm | null;
  readonly endpoints: Map<string, Endpoint>;
  /** Monotonic time at which the canary's lease ends. */
  private leaseEndsMs: number;
  private leaseExpired = false;
  private readonly headerName: Buffer | null;
  private readonly weightBp: number;

  constructor(config: ServiceRoute, state: ServiceState, nowMs: number) {
    this.config = config;
    this.state = state;
    this.endpoints = new Map();
    const arms = new Map<string, Arm>();
    for (const version of config.versions) {
      const endpoints = version.instances.map((address) => {
        const endpoint = state.endpointFor(address, version.version);
        this.endpoints.set(endpointKey(address, version.version), endpoint);
        return endpoint;
      });
      arms.set(version.version, new Arm(version.version, endpoints));
    }
    this.stable = arms.get(config.stable) as Arm;
    const canary = config.canary;
    this.canary = canary === null ? null : (arms.get(canary.version) ?? null);
    this.headerName = canary?.header == null ? null : ascii(canary.header);
    this.weightBp = canary?.weightBp ?? 0;
    this.leaseEndsMs = canary === null ? 0 : nowMs + canary.lease.ttlMs;
  }

  /** An expired lease stays expired until a table is applied: a late renewal must not surprise anybody. */
  isLeaseLive(nowMs: number): boolean {
    if (this.canary === null || this.leaseExpired) return false;
    if (nowMs >= this.leaseEndsMs) this.leaseExpired = true;
    return !this.leaseExpired;
  }

  /** False when the lease is not this route's or has expired. */
  renew(leaseId: string, nowMs: number): boolean {
    const lease = this.config.canary?.lease;
    if (lease?.id !== leaseId || !this.isLeaseLive(nowMs)) return false;
    this.leaseEndsMs = nowMs + lease.ttlMs;
    return true;
  }

  effectiveWeightBp(nowMs: number): number {
    return this.isLeaseLive(nowMs) ? this.weightBp : 0;
  }

  /** Whether the request carries the canary header, once, with the value `true`. */
  private asksForCanary(head: Head, buf: Uint8Array): boolean {
    const name = this.headerName;
    if (name === null) return false;
    let found = -1;
    for (let i = 0; i < head.count; i++) {
      const start = head.lineStart[i]!;
      if (head.nameEnd[i]! - start !== name.length || !equalsNoCase(buf, start, head.nameEnd[i]!, name)) continue;
      if (found >= 0) return false;
      found = i;
    }
    if (found < 0) return false;
    const start = head.valueStart[found]!;
    const end = head.valueEnd[found]!;
    return equalsNoCase(buf, start, end, TRUE);
  }

  /** Which arm serves the request and as what it counts. A canary without a ready instance leaves its share to stable. */
  choose(head: Head, buf: Uint8Array, nowMs: number): { arm: Arm; cohort: Cohort } {
    const canary = this.canary;
    if (canary === null || !this.isLeaseLive(nowMs)) return { arm: this.stable, cohort: 'weight' };
    const byHeader = this.headerName !== null && this.asksForCanary(head, buf);
    if (!byHeader && !this.state.splitter.choosesCanary(this.weightBp)) return { arm: this.stable, cohort: 'weight' };
    const arm = canary.isAvailable(nowMs) ? canary : this.stable;
    return { arm, cohort: byHeader ? 'header' : 'weight' };
  }
}

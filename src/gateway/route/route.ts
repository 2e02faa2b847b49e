import type { Cohort } from '../../metrics/source.ts';
import { speaksHttp2 } from '../../spec/gateway-model.ts';
import type { ServiceRoute } from '../../traffic/model.ts';
import type { GatewayContext } from '../context.ts';
import { ascii, equalsNoCase } from '../http1/bytes.ts';
import type { Head } from '../http1/head.ts';
import { limits } from '../limits.ts';
import { Mirror } from '../proxy/mirror.ts';
import { ConnectPolicy } from '../tunnel/policy.ts';
import { Arm, Endpoint } from './endpoint.ts';
import { findOnly, RuleList } from './match.ts';
import { endpointKey, type ServiceState } from './service-state.ts';
import { Sticky } from './sticky.ts';

const TRUE = ascii('true');

/** Which arm serves a request, and as what it counts. */
export interface Choice {
  arm: Arm;
  cohort: Cohort;
  /** A line for the answer that keeps the client's place, or null. */
  setCookie: Buffer | null;
}

/** One for the process: a choice is read at once, and a request allocates none. */
const choice: Choice = { arm: undefined as unknown as Arm, cohort: 'weight', setCookie: null };

/** A service's route, compiled for the request path. Immutable but for the lease's time. */
export class Route {
  readonly config: ServiceRoute;
  readonly state: ServiceState;
  readonly stable: Arm;
  readonly canary: Arm | null;
  readonly endpoints = new Map<string, Endpoint>();
  readonly mirror: Mirror | null;
  /** The instances get requests over cleartext HTTP/2 (the service's `protocol`), else over HTTP/1.1. */
  readonly overHttp2: boolean;
  /** Time for one try, up to the head of its answer; infinite where only the whole request is bounded. */
  readonly perTryMs: number;
  /** Null: CONNECT is refused. */
  readonly connect: ConnectPolicy | null;
  /** A request without any answer for this long counts as not served, whatever becomes of it. */
  readonly patienceMs: number;
  /** Monotonic time at which the canary's lease ends. */
  private leaseEndsMs: number;
  private leaseExpired = false;
  private readonly headerName: Buffer | null;
  private readonly weightBp: number;
  private readonly rules: RuleList | null;
  private readonly sticky: Sticky | null;

  constructor(config: ServiceRoute, state: ServiceState, nowMs: number, context: GatewayContext) {
    this.config = config;
    this.state = state;
    this.overHttp2 = speaksHttp2(config.protocol);
    this.perTryMs = config.retries?.perTryMs ?? Number.POSITIVE_INFINITY;
    this.patienceMs = Math.max(limits.patienceMs, config.timeoutMs / 2);
    const arms = new Map<string, Arm>();
    const options = { zone: config.zone ?? null, slowStartMs: config.slowStartMs ?? 0 };
    for (const { version, instances } of config.versions) {
      const endpoints = instances.map((address) => {
        const endpoint = state.endpointFor(address, version, nowMs, context.lookup);
        this.endpoints.set(endpointKey(address, version), endpoint);
        return endpoint;
      });
      arms.set(version, new Arm(version, endpoints, options));
    }
    this.stable = arms.get(config.stable) as Arm;
    const canary = config.canary;
    this.canary = canary === null ? null : (arms.get(canary.version) ?? null);
    this.headerName = canary?.header == null ? null : ascii(canary.header);
    this.weightBp = canary?.weightBp ?? 0;
    this.leaseEndsMs = canary === null ? 0 : nowMs + canary.lease.ttlMs;
    this.rules = (config.rules?.length ?? 0) > 0 ? new RuleList(config.rules ?? []) : null;
    this.sticky = config.sticky == null ? null : new Sticky(config.sticky, config.service, context.stickyKey);
    this.mirror = this.openMirror(context);
    this.connect = config.connect == null ? null : new ConnectPolicy(config.connect);
  }

  /** The mirror has endpoints of its own: neither its load nor its counts mix with the primary's. Who is fit is the primary's to say. */
  private openMirror({ wheel, lookup }: GatewayContext): Mirror | null {
    const { mirror, versions } = this.config;
    const target = versions.find(({ version }) => version === mirror?.version);
    if (mirror == null || target === undefined) return null;
    const endpoints = target.instances.map((address) => {
      const endpoint = new Endpoint(address, target.version, this.state.unseenStats(address.id), lookup);
      endpoint.judgedBy = this.endpoints.get(endpointKey(address, target.version)) ?? null;
      return endpoint;
    });
    const arm = new Arm(target.version, endpoints, { zone: null, slowStartMs: 0 });
    const { overHttp2, perTryMs } = this;
    return new Mirror(mirror, arm, {
      ...{ wheel, overHttp2, perTryMs },
      timeoutMs: this.config.timeoutMs,
      counts: this.state.mirrored,
      limits: this.state.limits,
    });
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

  leaseLeftMs(nowMs: number): number {
    return Math.max(0, this.leaseEndsMs - nowMs);
  }

  /** The lease ends in this time at the latest, as it did where it was granted; at 0 it has expired. */
  limitLease(leftMs: number, nowMs: number): void {
    this.leaseEndsMs = Math.min(this.leaseEndsMs, nowMs + leftMs);
  }

  /** Whether new requests may reach the version now: by its weight, or by the header that chooses the canary at any weight. */
  serves(version: string, cohort: Cohort, nowMs: number): boolean {
    if (version === this.config.stable) return true;
    if (version !== this.config.canary?.version || !this.isLeaseLive(nowMs)) return false;
    return cohort === 'header' || this.weightBp > 0;
  }

  servesForMs(nowMs: number): number {
    return this.isLeaseLive(nowMs) ? this.leaseLeftMs(nowMs) : Number.POSITIVE_INFINITY;
  }

  effectiveWeightBp(nowMs: number): number {
    return this.isLeaseLive(nowMs) ? this.weightBp : 0;
  }

  /**
   * Header rules first, then the sticky place, then the next place. A canary without a fit instance leaves its share to
   * stable. The answer is valid until the next call.
   */
  choose(head: Head, buf: Buffer, nowMs: number): Choice {
    choice.arm = this.stable;
    choice.cohort = 'weight';
    choice.setCookie = null;
    const canary = this.canary;
    if (canary === null || !this.isLeaseLive(nowMs)) return choice;
    const byHeader = this.decideByHeader(head, buf);
    if (byHeader !== null) {
      choice.cohort = 'header';
      if (byHeader === 'canary' && canary.isAvailable(nowMs)) choice.arm = canary;
      return choice;
    }
    let place = this.sticky?.placeOf(head, buf) ?? -1;
    const isNew = place < 0;
    if (isNew) place = this.state.splitter.nextPlace();
    if (place < this.weightBp) {
      if (canary.isAvailable(nowMs)) choice.arm = canary;
      else this.state.clients.diverted++;
    }
    if (isNew && this.sticky !== null) {
      choice.setCookie = this.sticky.setCookie(place);
      this.state.clients.deal(choice.arm.version);
    }
    return choice;
  }

  private decideByHeader(head: Head, buf: Buffer): 'stable' | 'canary' | null {
    const decided = this.rules === null ? null : this.rules.decide(head, buf);
    if (decided !== null) return decided;
    return this.headerName !== null && this.asksForCanary(head, buf, this.headerName) ? 'canary' : null;
  }

  /** Whether the request carries the canary header, once, with the value `true`. */
  private asksForCanary(head: Head, buf: Buffer, name: Buffer): boolean {
    const index = findOnly(head, buf, name);
    return index >= 0 && equalsNoCase(buf, head.valueStart[index]!, head.valueEnd[index]!, TRUE);
  }
}

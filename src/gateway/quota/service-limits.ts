import type { ServiceRoute } from '../../traffic/model.ts';
import { type Gate, keys, type Limiter, type Places, type QuotaSource } from './quota.ts';

/** The limits of one service as they are in force; null where it has none. */
export class ServiceLimits {
  limiter: Limiter | null = null;
  /** Requests in progress. */
  requests: Places | null = null;
  /** Requests that wait for a new connection. */
  pending: Places | null = null;
  tunnels: Places | null = null;
  /** Copies for the mirror in progress. */
  copies: Places | null = null;
  /** A request may have to wait until it is decided. */
  mayWait = false;
  private readonly source: QuotaSource;
  private connectionCount: number | undefined;
  private service = '';

  constructor(source: QuotaSource) {
    this.source = source;
  }

  /** Those of the route that comes into force. */
  adopt(route: ServiceRoute, nowMs: number): void {
    const { service, rateLimit, caps, connect, mirror } = route;
    const places = (key: string, count: number | undefined): Places | null =>
      count === undefined ? null : this.source.places(key, count);
    this.service = service;
    this.limiter = rateLimit === null ? null : this.source.limiter(keys.rate(service), rateLimit, nowMs);
    this.requests = places(keys.requests(service), caps?.maxRequests);
    this.pending = places(keys.pending(service), caps?.maxPending);
    this.tunnels = places(keys.tunnels(service), connect?.maxTunnels);
    this.copies = places(keys.copies(service), mirror?.maxConcurrent);
    this.connectionCount = caps?.maxConnections;
    this.mayWait = this.source.isShared && (this.limiter ?? this.requests ?? this.tunnels) !== null;
  }

  /** Connections to one instance. `closeIdle`: frees those that are not used, when another process wants some. */
  connections(instance: string, closeIdle: () => void): Places | null {
    const { connectionCount } = this;
    if (connectionCount === undefined) return null;
    return this.source.places(keys.connections(this.service, instance), connectionCount, closeIdle);
  }

  /** What must be known before a request can be admitted or refused; null when all of it is. */
  undecided(nowMs: number, forTunnel: boolean): Gate | null {
    const { limiter } = this;
    if (limiter !== null && !limiter.isDecided(nowMs)) return limiter;
    const places = forTunnel ? this.tunnels : this.requests;
    return places === null || places.isDecided(nowMs) ? null : places;
  }
}

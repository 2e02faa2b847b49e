/** Limits that hold for a service, whoever counts them: this process alone, or a parent that several processes share. */
import type { RateLimitSpec } from '../../spec/model.ts';
import type { ServiceRoute } from '../../traffic/model.ts';

/** A limit whose answer may have to be fetched first. */
export interface Gate {
  /** Whether the next `take` can say yes or no now. */
  isDecided(nowMs: number): boolean;
  /** Calls back when it can; never within the call. */
  whenDecided(callback: () => void): void;
}

/** A rate limit: what is taken is gone, and comes back with time. */
export interface Limiter extends Gate {
  /** Takes a token; false: the limit is reached. */
  take(nowMs: number): boolean;
  view(nowMs: number): LimitView;
  /** Tokens at hand; what another process has left over is gone on with. */
  tokensAt(nowMs: number): number;
  fillTo(tokens: number, nowMs: number): void;
}

/** What a client is told about a rate limit. */
export interface LimitView {
  perSecond: number;
  burst: number;
  /** Whole tokens left. */
  remaining: number;
  /** Whole seconds until there is a token again, and until the bucket is full; at least 1. */
  secondsToToken: number;
  secondsToFull: number;
}

/** A limit of what there may be at once: what is taken is given back. */
export interface Places extends Gate {
  /** Takes a place; false: all of them are taken. */
  take(nowMs: number): boolean;
  give(): void;
}

/** Where the limits of services are counted. A limit that is asked for again under its key goes on with what it holds, within the new bounds. */
export interface QuotaSource {
  /** Several processes share the limits, and an answer may have to be awaited. */
  readonly isShared: boolean;
  limiter(key: string, limit: RateLimitSpec, nowMs: number): Limiter;
  /** `onRecall`: called when places are wanted elsewhere; what is given within the call is had back with those at hand. */
  places(key: string, count: number, onRecall?: () => void): Places;
}

/** A limit as a routing table declares it. */
export type Quota = { key: string } & ({ kind: 'rate'; limit: RateLimitSpec } | { kind: 'places'; count: number });

export const keys = {
  rate: (service: string): string => `rate ${service}`,
  requests: (service: string): string => `requests ${service}`,
  pending: (service: string): string => `pending ${service}`,
  tunnels: (service: string): string => `tunnels ${service}`,
  copies: (service: string): string => `copies ${service}`,
  connections: (service: string, instance: string): string => `connections ${service} ${instance}`,
};

/** The limits of a service by its route. Instances whose connections are not limited have none here. */
export function quotasOf(route: ServiceRoute): Quota[] {
  const { service, rateLimit, caps, connect, mirror } = route;
  const places = (key: string, count: number | undefined): Quota[] =>
    count === undefined ? [] : [{ key, kind: 'places', count }];
  const perInstance = caps?.maxConnections;
  const instances = new Set(route.versions.flatMap((version) => version.instances.map(({ id }) => id)));
  return [
    ...(rateLimit === null ? [] : [{ key: keys.rate(service), kind: 'rate' as const, limit: rateLimit }]),
    ...places(keys.requests(service), caps?.maxRequests),
    ...places(keys.pending(service), caps?.maxPending),
    ...places(keys.tunnels(service), connect?.maxTunnels),
    ...places(keys.copies(service), mirror?.maxConcurrent),
    ...[...instances].flatMap((id) => places(keys.connections(service, id), perInstance)),
  ];
}

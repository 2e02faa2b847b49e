import type { UpstreamProtocol } from '../spec/gateway-model.ts';
import type { EjectionSpec, HealthProbe, RateLimitSpec, RetrySpec, WeightBp } from '../spec/model.ts';

/**
 * What a data plane must enforce, whole: a table replaces the one before it atomically.
 * `generation` only grows; a data plane refuses an older one (and an older term), and answers with what it has.
 */
export interface RoutingTable {
  /** Fencing term of the controller's ledger writer. */
  term: number;
  generation: number;
  services: ServiceRoute[];
}

export interface ServiceRoute {
  service: string;
  listenHost: string;
  listenPort: number;
  stable: string;
  canary: CanaryRoute | null;
  versions: VersionRoute[];
  timeoutMs: number;
  retries: RetrySpec | null;
  ejection: EjectionSpec | null;
  rateLimit: RateLimitSpec | null;
  /** Ascending upper edges (ms) for the latency counts that the judge and the objectives need. */
  edgesMs: number[];
  /** Ordered; the first rule that matches decides, before sticky and weight. */
  rules?: HeaderRule[];
  sticky?: StickyRoute | null;
  mirror?: MirrorRoute | null;
  /** Where the data plane stands: instances of this zone are preferred while enough of them are fit. */
  zone?: string | null;
  breaker?: BreakerRoute | null;
  caps?: CapRoute | null;
  /** Checks by the data plane itself, beside what the controller knows. */
  healthCheck?: HealthCheckRoute | null;
  /** A new instance gets its full share only after this time. */
  slowStartMs?: number;
  /** What is open on a version that gets no more traffic may go on for this long, and is cut then. Absent: 30 s. */
  drainMs?: number;
  /** `shadow`: count what the limiter would refuse, and let it pass. Default `enforce`. */
  rateLimitMode?: 'enforce' | 'shadow';
  /** CIDRs of proxies whose Forwarded and X-Forwarded-* fields are believed and extended. Default: none. */
  trustedProxies?: string[];
  /** Share of requests written to the access log, 0..1. Default 0. */
  accessLogShare?: number;
  /** Default true: `Upgrade: websocket` is passed on and tunnelled. */
  webSocket?: boolean;
  /** `CONNECT` to the listed targets. Absent: it is refused. */
  connect?: ConnectRoute | null;
  tls?: TlsRoute | null;
  /** What the instances speak; it decides how every request reaches them, whatever the client speaks. Default `http1`. */
  protocol?: UpstreamProtocol;
}

/** All conditions of a rule must hold; rules are alternatives in their order. */
export interface HeaderRule {
  when: HeaderCondition[];
  to: 'stable' | 'canary';
}

/** A field that stands several times, or whose value is a list, matches nothing but `present`. */
export interface HeaderCondition {
  /** Lower case. */
  header: string;
  match: 'exact' | 'prefix' | 'present' | 'absent';
  value: string;
}

/** Clients keep their place in the split: a signed cookie holds it. A raised weight moves some to the canary, a lowered one back. */
export interface StickyRoute {
  cookie: string;
  /** Base64, at least 16 bytes, known to every gateway of the service. Null: the gateway's own key, kept in its run folder. */
  secret: string | null;
  /** Another epoch voids all cookies. */
  epoch: number;
  maxAgeS: number;
}

/** Copies of safe requests go to another version; their answers are dropped and counted nowhere but in the mirror's own. */
export interface MirrorRoute {
  version: string;
  share: number;
  /** Copies in progress at once; beyond it none are made. */
  maxConcurrent: number;
}

/** The whole route: open after this many failures in a row, then one probe, then closed. */
export interface BreakerRoute {
  consecutive5xx: number;
  openMs: number;
}

export interface CapRoute {
  /** Per instance. */
  maxConnections?: number;
  /** Requests waiting for a new connection, per service. */
  maxPending?: number;
  /** Requests in progress, per service. */
  maxRequests?: number;
}

export interface HealthCheckRoute {
  probe: HealthProbe;
  everyMs: number;
  timeoutMs: number;
  unhealthyAfter: number;
  healthyAfter: number;
}

/** Tunnels by `CONNECT` (RFC 9110 section 9.3.6): to the targets listed, and to nothing else. */
export interface ConnectRoute {
  /** `host:port`, as `parseAuthority` reads it. */
  allow: string[];
  /** A listed name may lead to private and loopback addresses. An address that is listed itself is reached in any case. */
  privateAddresses: boolean;
  /** Tunnels open at once. */
  maxTunnels: number;
  /** Time for resolving the name and connecting. */
  connectMs: number;
  /** Longest silence of both sides. */
  idleMs: number;
}

/** TLS is terminated at the listener. Files are PEM; they are read again when a table is applied and when they change. */
export interface TlsRoute {
  /** The first one is used when no name matches. Names may begin with `*.`. */
  certificates: { names: string[]; certFile: string; keyFile: string }[];
  /** Set: clients must show a certificate of this CA, and one of `allowedSans` when that is not empty. */
  clientCaFile?: string | null;
  allowedSans?: string[];
}

/** The canary's share is a lease: the data plane returns to stable when it is not renewed within `ttlMs`. */
export interface CanaryRoute {
  version: string;
  weightBp: WeightBp;
  /** Release id, e.g. `service-b-2`; exposure is counted per release. */
  release: string;
  /** `<name>: true` reaches the canary at any weight. Null: no header route. Lower case. */
  header: string | null;
  lease: Lease;
}

export interface Lease {
  id: string;
  ttlMs: number;
}

export interface VersionRoute {
  version: string;
  instances: InstanceAddress[];
}

export interface InstanceAddress {
  /** `<service>/<version>/<n>` */
  id: string;
  host: string;
  port: number;
  zone: string | null;
}

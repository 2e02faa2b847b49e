/** What the instances of a service speak: HTTP/1.1, or cleartext HTTP/2 with prior knowledge; `grpc` is h2c that serves gRPC calls. */
export const upstreamProtocols = ['http1', 'h2c', 'grpc'] as const;
export type UpstreamProtocol = (typeof upstreamProtocols)[number];

/** Whether instances are reached over cleartext HTTP/2 with prior knowledge (RFC 9113 section 3.3), else over HTTP/1.1. */
export function speaksHttp2(protocol: UpstreamProtocol | undefined): boolean {
  return protocol === 'h2c' || protocol === 'grpc';
}

/** What a service may ask of the gateway beyond the everyday settings; each field is absent when the file does not name it. */
export interface GatewaySpec {
  rules?: HeaderRuleSpec[];
  sticky?: { cookie: string; maxAgeS: number };
  mirror?: { version: string; share: number; maxConcurrent: number };
  breaker?: { consecutive5xx: number; openMs: number };
  caps?: { maxConnections?: number; maxPending?: number; maxRequests?: number };
  slowStartMs?: number;
  /** What is open on a version that gets no more traffic is cut after this time; 30 s if absent. */
  drainMs?: number;
  zone?: string;
  rateLimitMode?: 'enforce' | 'shadow';
  trustedProxies?: string[];
  accessLogShare?: number;
  protocol?: UpstreamProtocol;
  connect?: ConnectSpec;
  tls?: TlsSpec;
}

/** Tunnels by `CONNECT`. */
export interface ConnectSpec {
  /** `host:port` of each target. */
  allow: string[];
  privateAddresses: boolean;
  maxTunnels: number;
  connectMs: number;
  idleMs: number;
}

export interface HeaderRuleSpec {
  to: 'stable' | 'canary';
  /** All must hold. */
  when: { header: string; match: 'exact' | 'prefix' | 'present' | 'absent'; value: string }[];
}

export interface TlsSpec {
  /** PEM files, relative to the spec's folder. */
  certificates: { names: string[]; certFile: string; keyFile: string }[];
  clientCaFile: string | null;
  allowedSans: string[];
}

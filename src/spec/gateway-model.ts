/** What a service may ask of the gateway beyond the everyday settings; each field is absent when the file does not name it. */
export interface GatewaySpec {
  rules?: HeaderRuleSpec[];
  sticky?: { cookie: string; maxAgeS: number };
  mirror?: { version: string; share: number; maxConcurrent: number };
  breaker?: { consecutive5xx: number; openMs: number };
  caps?: { maxConnections?: number; maxPending?: number; maxRequests?: number };
  slowStartMs?: number;
  zone?: string;
  rateLimitMode?: 'enforce' | 'shadow';
  trustedProxies?: string[];
  accessLogShare?: number;
  protocol?: 'http1' | 'h2c';
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

import { formatAuthority, parseAuthority } from '../../lib/authority.ts';
import type { ConnectRoute } from '../../traffic/model.ts';

/** A route's rules for `CONNECT`, ready for requests: everything that is not listed is denied. */
export class ConnectPolicy {
  readonly config: ConnectRoute;
  private readonly allowed: ReadonlySet<string>;

  constructor(config: ConnectRoute) {
    this.config = config;
    this.allowed = new Set(
      config.allow.map((text) => {
        const authority = parseAuthority(text);
        return authority === null ? '' : formatAuthority(authority);
      }),
    );
  }

  /** The target as it is listed, or null when it is not. */
  find(target: string): string | null {
    const authority = parseAuthority(target);
    const name = authority === null ? '' : formatAuthority(authority);
    return name !== '' && this.allowed.has(name) ? name : null;
  }
}

/** What became of a service's tunnels. */
export interface TunnelCounts {
  open: number;
  opened: number;
  denied: number;
  shed: number;
  failed: number;
  /** Closed since nothing moved. */
  idle: number;
  /** Octets sent to targets, and received from them. */
  sentBytes: number;
  receivedBytes: number;
}

export function noTunnels(): TunnelCounts {
  return { open: 0, opened: 0, denied: 0, shed: 0, failed: 0, idle: 0, sentBytes: 0, receivedBytes: 0 };
}

/** By metric name without prefix; empty for a service that never had a tunnel and never refused one. */
export function tunnelExtras(counts: TunnelCounts): Record<string, number> {
  if (Object.values(counts).every((count) => count === 0)) return {};
  return {
    tunnels_open: counts.open,
    tunnels_opened_total: counts.opened,
    tunnels_denied_total: counts.denied,
    tunnels_shed_total: counts.shed,
    tunnels_failed_total: counts.failed,
    tunnels_idle_closed_total: counts.idle,
    tunnel_sent_bytes_total: counts.sentBytes,
    tunnel_received_bytes_total: counts.receivedBytes,
  };
}

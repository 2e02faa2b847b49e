/** What a process that leaves hands to the one that takes its place. Plain data, and listening sockets beside it. */
import type { Exposure } from '../../traffic/dataplane.ts';
import type { FaultRule } from '../../traffic/faults.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import type { DepartureEstate } from '../route/departures.ts';

/**
 * A listening socket as Node.js passes it between processes. The socket itself, not only its port: connections that wait in its queue
 * are accepted by whoever holds it, where closing one of two sockets with SO_REUSEPORT would reset them.
 */
export type SocketHandle = { close(): void };

/** What one engine knows that its table does not say. */
export interface EngineEstate {
  /** Remaining time of each live lease; one that is missing has expired and stays so. */
  leases: Record<string, number>;
  /** By service: the canary's exposure, and tokens in the limiter's bucket. */
  exposures: Record<string, Exposure>;
  tokens: Record<string, number>;
  /** Faults in force, `ttlMs` being what is left. */
  faults: FaultRule[];
  /** By service: versions that get no more traffic. Absent from an older gateway. */
  departures?: Record<string, DepartureEstate[]>;
}

export interface Estate {
  /** The counts go on under the same name: nothing begins at 0 again. */
  bootId: string;
  table: RoutingTable | null;
  /** One per engine; null where none could say. */
  engines: (EngineEstate | null)[];
}

/** A socket with the engine that listens on it and its `host:port`. */
export interface EstateSocket {
  engine: number;
  address: string;
  handle: SocketHandle;
}

/** Listening sockets by `host:port`. */
export type Sockets = Map<string, SocketHandle>;

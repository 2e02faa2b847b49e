import type { CounterSnapshot } from '../metrics/source.ts';
import type { DataPlaneState } from '../traffic/dataplane.ts';
import type { FaultReport, FaultRule } from '../traffic/faults.ts';
import type { RoutingTable } from '../traffic/model.ts';
import type { ServiceReport } from './stats/report.ts';
import type { Estate, EstateSocket } from './succession/estate.ts';

/** What the admin address needs, from one process or from several that act as one. */
export interface Plane {
  readonly bootId: string;
  /** Resolves when it can take a table. */
  ready(): Promise<void>;
  /** Rejects with `TableRefused`. */
  apply(table: RoutingTable): Promise<void>;
  renew(leaseIds: string[]): Promise<string[]>;
  /** Resolves with what is wrong with the rules, or null. */
  inject(rules: FaultRule[]): Promise<string | null>;
  clearFaults(ids: string[] | 'all'): Promise<void>;
  faultReports(): Promise<FaultReport[]>;
  state(): Promise<DataPlaneState>;
  counters(): Promise<CounterSnapshot>;
  exposition(): Promise<string>;
  /** Everything counted so far, also by the processes before this one. */
  reports(): Promise<ServiceReport[]>;
  /** What a successor needs to go on from here. */
  estate(): Promise<{ estate: Estate; sockets: EstateSocket[] }>;
  /** Goes on from where another process was; rejects with `TableRefused`. */
  adopt(estate: Estate, sockets: EstateSocket[]): Promise<void>;
  /** While it drains: what the last requests are routed by. */
  follow(table: RoutingTable): Promise<void>;
  /** Resolves when no port accepts a connection any more; those that were accepted go on. */
  closePorts(): Promise<void>;
  /** Finishes what is in progress, at the latest after `withinMs`, and closes every port. */
  drain(withinMs: number): Promise<void>;
}

/** Why a table was not taken, and the old one stays in force. `starting`: nobody can answer yet, and the same call may be repeated in a moment. */
export class TableRefused extends Error {
  readonly code: 'invalid-table' | 'stale-generation' | 'generation-conflict' | 'port-in-use' | 'draining' | 'starting';

  constructor(code: TableRefused['code'], message: string) {
    super(message);
    this.code = code;
  }
}

import type { CounterSnapshot } from '../metrics/source.ts';
import type { DataPlaneState } from '../traffic/dataplane.ts';
import type { FaultReport, FaultRule } from '../traffic/faults.ts';
import type { RoutingTable } from '../traffic/model.ts';

/** What the admin address needs, from one process or from several that act as one. */
export interface Plane {
  readonly bootId: string;
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
  /** Finishes what is in progress and closes every port. */
  drain(): Promise<void>;
}

/** Why a table was not taken; the old one stays in force. */
export class TableRefused extends Error {
  readonly code: 'invalid-table' | 'stale-generation' | 'generation-conflict' | 'port-in-use' | 'draining';

  constructor(code: TableRefused['code'], message: string) {
    super(message);
    this.code = code;
  }
}

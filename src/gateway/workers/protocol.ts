import type { DataPlaneState } from '../../traffic/dataplane.ts';
import type { FaultReport, FaultRule } from '../../traffic/faults.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import type { TableRefused } from '../plane.ts';
import type { ProcessReport } from '../stats/process-stats.ts';
import type { ServiceReport } from '../stats/report.ts';
import type { EngineEstate } from '../succession/estate.ts';

/** What the parent asks of a worker. */
export interface WorkerCalls {
  apply(table: RoutingTable): Promise<void>;
  renew(ids: string[]): Promise<string[]>;
  inject(rules: FaultRule[]): Promise<string | null>;
  clearFaults(ids: string[] | 'all'): Promise<void>;
  faultReports(): Promise<FaultReport[]>;
  state(): Promise<DataPlaneState>;
  report(): Promise<WorkerReport>;
  setShares(shares: Record<string, number>): Promise<void>;
  estate(): Promise<EngineEstate>;
  /** Uses the sockets that came before it. */
  adopt(heritage: { table: RoutingTable; estate: EngineEstate | null }): Promise<void>;
  follow(table: RoutingTable): Promise<void>;
  closePorts(): Promise<void>;
  drain(withinMs: number): Promise<void>;
}

export interface WorkerReport {
  services: ServiceReport[];
  process: ProcessReport;
  /** Requests that asked each service's limiter so far. */
  demand: Record<string, number>;
}

/** A listening socket's address; the socket comes with it. To the worker ahead of `adopt`; from it whenever it has opened one. */
export interface SocketMessage {
  socket: string;
}

export interface CallMessage {
  id: number;
  call: keyof WorkerCalls;
  argument: unknown;
}

export interface AnswerMessage {
  id: number;
  value?: unknown;
  error?: { code: TableRefused['code'] | null; message: string };
}

import type { DataPlaneState } from '../../traffic/dataplane.ts';
import type { FaultReport, FaultRule } from '../../traffic/faults.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import type { TableRefused } from '../plane.ts';
import type { Grant } from '../quota/quota-book.ts';
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

/** From a worker: requests wait for `need` units of a limit, and `left` are at hand. Answered by a `GrantMessage`. */
export interface AskMessage {
  ask: string;
  need: number;
  left: number;
}

/** To a worker: the answer to its question. */
export interface GrantMessage {
  grant: string;
  answer: Grant;
}

/** To a worker: others wait for units of a limit; what it has at hand is wanted back. Answered by a `BackMessage` with the same number. */
export interface RecallMessage {
  recall: string;
  number: number;
}

export interface BackMessage {
  back: string;
  number: number;
  units: number;
}

/** From a worker, once: it hears what it is told from now on. */
export interface ReadyMessage {
  ready: true;
}

export type ToWorker = CallMessage | SocketMessage | GrantMessage | RecallMessage;
export type FromWorker = ReadyMessage | AnswerMessage | SocketMessage | AskMessage | BackMessage;

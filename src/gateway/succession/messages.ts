import type { RoutingTable } from '../../traffic/model.ts';
import type { ServiceReport } from '../stats/report.ts';
import type { Estate } from './estate.ts';

/** From the process that leaves to its successor. Each socket comes with its handle, and before the estate. */
export type FromPredecessor =
  | { socket: { engine: number; address: string } }
  | { estate: Estate }
  | { reports: ServiceReport[]; answer: number }
  | { lastReports: ServiceReport[] };

/** From the successor to the process that leaves. */
export type FromSuccessor =
  | { ready: true }
  | { serving: true }
  | { refused: string }
  | { ask: number }
  | { follow: RoutingTable };

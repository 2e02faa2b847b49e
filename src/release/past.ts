import type { FleetState } from './state.ts';

/** What folding the ledger up to a record yields; it can be continued from there. */
export interface Past {
  /** The next record to fold. */
  nextSeq: number;
  fleet: FleetState;
}

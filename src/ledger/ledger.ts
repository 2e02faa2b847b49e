import type { LedgerRecord, NewEvent } from './record.ts';

export interface AppendOptions {
  /** Optimistic concurrency: the last known `sv` per stream (-1 for a stream that must not exist). */
  expected?: Record<string, number>;
  /**
   * The same key returns the same records again and writes nothing, also after a restart. A key is remembered for the
   * next 65,536 records; 1 to 200 characters.
   */
  idempotencyKey?: string;
  /** May use the disk-full reserve: only for lowering a weight and reverting a fault. */
  reserve?: boolean;
}

export interface LedgerHead {
  /** Number of records. */
  size: number;
  /** Leaf hash (hex) of the last record, 64 zeros when empty. */
  tip: string;
  term: number;
}

/**
 * The port every store implements (file now, PostgreSQL later). One sequencer: `append` resolves after the records are
 * durable, in order; a rejected append either wrote nothing or, for `failed but done`, is found by its idempotency key.
 */
export interface Ledger {
  /**
   * The events are copied when called, so the caller may reuse them. 1 to 1,024 events; a record is at most 65,535 bytes.
   * Rejects with `ledger/conflict` (expected version), `ledger/record-too-large`, `ledger/disk-full`, `ledger/poisoned` …
   */
  append(events: NewEvent[], options?: AppendOptions): Promise<LedgerRecord[]>;
  /** Records from `fromSeq` on, up to the head at the time of the call. */
  read(fromSeq: number): AsyncIterable<LedgerRecord>;
  head(): LedgerHead;
  /** Called after records are durable, in order. Returns the unsubscribe function. */
  subscribe(listener: (records: readonly LedgerRecord[]) => void): () => void;
  close(): Promise<void>;
}

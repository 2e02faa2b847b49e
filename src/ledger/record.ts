/** JSON that round-trips: no undefined, no NaN, integers within 2^53-1 (I-JSON, RFC 7493). */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** Who caused an event: a directory id or a component, never an e-mail address or a name. */
export interface Actor {
  kind: 'person' | 'controller' | 'schedule';
  id: string;
}

/** A file in `cas/` named by the SHA-256 of its stored bytes. */
export interface Attachment {
  sha256: string;
  size: number;
  type: string;
  name: string;
  desc: string;
}

/** What a room asks the ledger to write. The ledger adds seq, time, prev, id, sv and tx. */
export interface NewEvent {
  /** Dotted, past tense where it is a fact: `release.step.decided`. */
  type: string;
  /** The aggregate it belongs to: `release/service-b-1`, `service/service-b`, `system`. */
  stream: string;
  data: JsonObject;
  actor?: Actor;
  /** id of the record that led to this one. */
  cause?: string;
  att?: Attachment[];
  /** Salted commitments to personal values (RFC 9901 shape); the values live in the vault. */
  sd?: string[];
}

/** One line of the ledger (docs/evidence.md). Field order on disk is the order here. */
export interface LedgerRecord {
  v: 1;
  seq: number;
  /** RFC 3339 UTC with milliseconds. A claim, not a proof. */
  time: string;
  /** Writer id and its fencing term. */
  w: string;
  term: number;
  /** Hex SHA-256 leaf hash of the record before; 64 zeros for seq 0. */
  prev: string;
  /** UUID v7. */
  id: string;
  type: string;
  stream: string;
  /** Version of the stream: 0, 1, 2 … */
  sv: number;
  actor: Actor;
  cause?: string;
  /** Idempotency key of the append; on its first record only. */
  key?: string;
  /** Position in its atomic append: [i, n], 1-based. */
  tx: [number, number];
  data: JsonObject;
  att?: Attachment[];
  sd?: string[];
}

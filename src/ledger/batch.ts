import { hash } from 'node:crypto';
import { MAX_LINE_BYTES } from './codec.ts';

const LF = 10;
const START_BYTES = 64 * 1024;
/** One write; also the most that a crash can tear off the end of the log (recovery refuses to cut more). */
const MAX_BATCH_RECORDS = 8_192;
export const MAX_BATCH_BYTES = 4 * 1024 * 1024;
/** A larger buffer is given back after its batch. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;
/** UTF-8 bytes that one UTF-16 unit can take. */
const MAX_UNIT_BYTES = 3;

/** Records in their final order. */
export interface Batch {
  firstSeq: number;
  /** The lines, each with its LF, as they go into the file. Valid until the batch was committed. */
  bytes: Buffer;
  /** Where each line ends in `bytes`, behind its LF. */
  ends: readonly number[];
  /** Leaf hash (hex) of each line. */
  leaves: readonly string[];
}

/**
 * Collects the lines of a batch. A line is encoded once: what is hashed is what is written, and its length comes with it.
 * Bytes are kept behind one byte of room, because a line goes in behind the 0x00 of its leaf hash.
 */
export class BatchBuffer {
  #bytes = Buffer.allocUnsafe(START_BYTES);
  #at = 1;
  #ends: number[] = [];
  #leaves: string[] = [];

  /** No further append goes in; the last may have exceeded the limit by its own length. */
  get isFull(): boolean {
    return this.#ends.length >= MAX_BATCH_RECORDS || this.#at > MAX_BATCH_BYTES;
  }

  /**
   * Adds a line and returns its leaf hash in hex (RFC 6962 section 2.1: SHA-256(0x00 || entry)), or null when the line is
   * longer than the format allows; nothing is added then. `entry` is the line without LF behind a NUL character.
   */
  add(entry: string): string | null {
    if (entry.length > MAX_LINE_BYTES + 1) return null;
    this.#makeRoom(entry.length * MAX_UNIT_BYTES + 1);
    // The hash comes first: it makes one text of the pieces that the entry was put together from.
    const leaf = hash('sha256', entry, 'hex');
    const before = this.#at - 1;
    const end = before + this.#bytes.write(entry, before);
    // The NUL went where the line before has its LF.
    this.#bytes[before] = LF;
    if (end - this.#at > MAX_LINE_BYTES) return null;
    this.#bytes[end] = LF;
    this.#at = end + 1;
    this.#ends.push(end);
    this.#leaves.push(leaf);
    return leaf;
  }

  /** Takes back what was added since there were `records`. */
  truncate(records: number): void {
    this.#ends.length = records;
    this.#leaves.length = records;
    this.#at = (this.#ends[records - 1] ?? 0) + 1;
  }

  batch(firstSeq: number): Batch {
    return { firstSeq, bytes: this.#bytes.subarray(1, this.#at), ends: this.#ends, leaves: this.#leaves };
  }

  /** Begins anew; the batch given out before must not be read any more, its leaves may. */
  clear(): void {
    if (this.#bytes.length > MAX_KEPT_BYTES) this.#bytes = Buffer.allocUnsafe(START_BYTES);
    this.#at = 1;
    this.#ends = [];
    this.#leaves = [];
  }

  #makeRoom(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}

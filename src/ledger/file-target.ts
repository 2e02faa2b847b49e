import type { Clock } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Batch } from './batch.ts';
import { decodeLine } from './codec.ts';
import { appendAll, type Disk, isDiskFull } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import type { CommitTarget } from './group-commit.ts';
import { layout, segmentName } from './layout.ts';
import { lineChunks, lineEnd } from './lines.ts';
import type { LedgerRecord } from './record.ts';
import type { SegmentLog } from './segment-log.ts';
import type { Frontier } from './tree.ts';

/** How often a full disk is tried again. */
const RETRY_FULL_MS = 1_000;
const RESERVE_CHUNK_BYTES = 1024 * 1024;

export interface FileTargetOptions {
  disk: Disk;
  dir: string;
  clock: Clock;
  term: number;
  reserveBytes: number;
  segmentRecords: number;
  log: SegmentLog;
  frontier: Frontier;
  /** A segment is full and left: notes the state of this moment; what is returned saves it once the segment is sealed. */
  onFull: () => () => Promise<void>;
  onNotice: (message: string) => void;
}

/** Writes batches into the log files, fenced by the term, with a reserve for the day the disk is full. */
export class FileTarget implements CommitTarget {
  readonly #o: FileTargetOptions;
  /** The file that a writer with a newer term makes. */
  readonly #nextTerm: string;
  #size: number;
  /** Leaves that are durable and not in the tree yet. */
  #leaves: readonly string[] = [];
  #reserveFreed = false;
  #retryAtMs = 0;
  #leftUpTo: number;

  constructor(options: FileTargetOptions) {
    this.#o = options;
    this.#nextTerm = layout.term(options.dir, options.term + 1);
    this.#size = options.frontier.size;
    this.#leftUpTo = options.log.openFirstSeq;
  }

  async commit(batch: Batch, onWritten: () => void): Promise<void> {
    this.#checkTerm();
    const writing = this.#o.log.write(batch, onWritten);
    this.#growTree(); // the batch before, while this one is flushed
    await writing;
    this.#leaves = batch.leaves;
    this.#size += batch.leaves.length;
  }

  /** The tree over all durable records. */
  get frontier(): Frontier {
    this.#growTree();
    return this.#o.frontier;
  }

  #growTree(): void {
    const leaves = this.#leaves;
    this.#leaves = [];
    for (const leaf of leaves) this.#o.frontier.append(leaf);
  }

  /** Re-checked before every write: a newer term means that this writer was replaced. */
  #checkTerm(): void {
    const { disk, term } = this.#o;
    if (!disk.existsNow(this.#nextTerm)) return;
    throw new DavyError(
      ledgerErrors.fenced,
      `A writer with term ${term + 1} has taken over; this one had term ${term}.`,
    );
  }

  async settle(): Promise<() => Promise<void>> {
    const { log, onFull } = this.#o;
    if (!(await this.#unlessFull(() => log.leaveFull()))) return async () => undefined;
    const isNext = log.openFirstSeq !== this.#leftUpTo;
    this.#leftUpTo = log.openFirstSeq;
    const save = isNext ? onFull() : async () => undefined;
    return async () => {
      if (await this.#unlessFull(() => log.sealFull())) await save();
    };
  }

  /** False when the disk was full; what could not be done is tried again after the next batch. */
  async #unlessFull(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      this.#o.onNotice('The disk is full; a finished segment will be sealed when there is room.');
      return false;
    }
  }

  get isFull(): boolean {
    return this.#reserveFreed;
  }

  async retryFull(): Promise<void> {
    const now = this.#o.clock.monoMs();
    if (now < this.#retryAtMs) return;
    this.#retryAtMs = now + RETRY_FULL_MS;
    await this.makeReserve();
  }

  get isUnsettled(): boolean {
    return this.#o.log.hasFull;
  }

  /** Takes the reserve, if it is not there; false when the disk has no room for it. */
  async makeReserve(): Promise<boolean> {
    const { disk, dir, reserveBytes, onNotice } = this.#o;
    const path = layout.reserve(dir);
    if ((await disk.stat(path))?.size === reserveBytes) return this.#reserveTaken();
    await disk.remove(path);
    const file = await disk.open(path);
    try {
      const zeros = Buffer.alloc(Math.min(reserveBytes, RESERVE_CHUNK_BYTES));
      for (let done = 0; done < reserveBytes; done += zeros.length) {
        appendAll(file, zeros.subarray(0, Math.min(zeros.length, reserveBytes - done)));
      }
      return this.#reserveTaken();
    } catch (error) {
      onNotice(`The disk has no room for the reserve of ${reserveBytes} bytes: ${messageOf(error)}.`);
      await disk.remove(path);
      this.#reserveFreed = true;
      return false;
    } finally {
      await file.close();
    }
  }

  #reserveTaken(): true {
    this.#reserveFreed = false;
    return true;
  }

  async freeReserve(): Promise<boolean> {
    const { disk, dir, clock, onNotice } = this.#o;
    const had = (await disk.stat(layout.reserve(dir))) !== null;
    await disk.remove(layout.reserve(dir));
    this.#reserveFreed = true;
    this.#retryAtMs = clock.monoMs() + RETRY_FULL_MS;
    onNotice(
      'The disk of the ledger is full: only lowering a weight and reverting a fault are recorded, from the reserve.',
    );
    return had;
  }

  async readRange(seq: number, count: number): Promise<LedgerRecord[]> {
    const records: LedgerRecord[] = [];
    for await (const record of this.read(seq, seq + count)) records.push(record);
    return records;
  }

  /** Records `[fromSeq, toSeq)`, which must be durable. */
  async *read(fromSeq: number, toSeq: number = this.#size): AsyncGenerator<LedgerRecord> {
    for await (const lines of this.readLines(fromSeq, toSeq)) {
      for (const line of lines) yield decodeLine(line);
    }
  }

  /** The stored lines of `[fromSeq, toSeq)` in batches. */
  async *readLines(fromSeq: number, toSeq: number): AsyncGenerator<string[]> {
    const { disk, dir, log, segmentRecords } = this.#o;
    let seq = fromSeq;
    while (seq < toSeq) {
      const firstSeq = Math.floor(seq / segmentRecords) * segmentRecords;
      const [offset, at] = log.positionOf(seq);
      let skip = seq - at;
      const path = layout.segment(dir, segmentName(firstSeq));
      const before = seq;
      for await (const { bytes } of lineChunks(disk, path, offset)) {
        const lines: string[] = [];
        for (let start = 0; start < bytes.length && seq < toSeq; ) {
          const end = lineEnd(bytes, start);
          if (skip > 0) skip -= 1;
          else {
            lines.push(bytes.toString('utf8', start, end));
            seq += 1;
          }
          start = end + 1;
        }
        if (lines.length > 0) yield lines;
        if (seq >= toSeq) break;
      }
      if (seq === before)
        throw new DavyError(ledgerErrors.tampered, `Record ${seq} is missing from ${segmentName(firstSeq)}.`);
    }
  }
}

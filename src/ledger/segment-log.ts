import { createHash } from 'node:crypto';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Batch } from './batch.ts';
import { appendAll, type Disk, type DiskFile, isDiskFull } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { diskFullError } from './group-commit.ts';
import { layout, segmentName } from './layout.ts';

/** Every this many records the open segment's offset is remembered, so that reading from a seq need not scan it. */
export const MARK_EVERY = 64;
const HASH_CHUNK_BYTES = 4 * 1024 * 1024;

export interface OpenSegment {
  firstSeq: number;
  records: number;
  bytes: number;
  /** Offset of every 64th record. */
  marks: number[];
}

/**
 * The files of the log at their writing end. One file is open for appending; at `segmentRecords` records it is sealed:
 * flushed, made read-only, its SHA-256 added to SEALS, and the next file created.
 */
export class SegmentLog {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #segmentRecords: number;
  readonly #sealedBytes: number[];
  #open: OpenSegment;
  #file: DiskFile;
  /** Full but not sealed yet; their files stay open until they are. */
  readonly #full: { file: DiskFile; firstSeq: number }[] = [];
  #sealing = false;

  private constructor(
    disk: Disk,
    dir: string,
    segmentRecords: number,
    at: { open: OpenSegment; sealedBytes: number[] },
    file: DiskFile,
  ) {
    this.#disk = disk;
    this.#dir = dir;
    this.#segmentRecords = segmentRecords;
    this.#open = at.open;
    this.#sealedBytes = at.sealedBytes;
    this.#file = file;
  }

  static async openAt(
    disk: Disk,
    dir: string,
    segmentRecords: number,
    at: { open: OpenSegment; sealedBytes: number[] },
  ): Promise<SegmentLog> {
    const { open } = at;
    const file = await disk.open(layout.segment(dir, segmentName(open.firstSeq)));
    await disk.syncDir(layout.log(dir));
    const log = new SegmentLog(disk, dir, segmentRecords, at, file);
    if (open.records === segmentRecords) log.#markFull(file, open.firstSeq);
    await log.leaveFull();
    await log.sealFull();
    return log;
  }

  /** Where to start reading for `seq`: an offset in its segment and the seq of the record there. */
  positionOf(seq: number): [offset: number, seq: number] {
    const { firstSeq, marks } = this.#open;
    if (seq < firstSeq) return [0, Math.floor(seq / this.#segmentRecords) * this.#segmentRecords];
    const mark = Math.min(Math.floor((seq - firstSeq) / MARK_EVERY), marks.length - 1);
    return mark < 0 ? [0, firstSeq] : [marks[mark]!, firstSeq + mark * MARK_EVERY];
  }

  get openFirstSeq(): number {
    return this.#open.firstSeq;
  }

  get openName(): string {
    return segmentName(this.#open.firstSeq);
  }

  /** Bytes of every segment before the open one. */
  get sealedBytes(): number[] {
    return [...this.#sealedBytes];
  }

  /** A copy of the state of the open segment. */
  /** Bytes of all segments. */
  get bytes(): number {
    return this.#sealedBytes.reduce((sum, bytes) => sum + bytes, this.#open.bytes);
  }

  get open(): OpenSegment {
    return { ...this.#open, marks: [...this.#open.marks] };
  }

  /**
   * Writes and flushes a batch; a segment that it fills is left for `sealFull`. Calls `onWritten` when only the flush is
   * awaited, unless the batch fills a segment.
   */
  write(batch: Batch, onWritten: () => void): Promise<void> {
    const room = this.#segmentRecords - this.#open.records;
    const count = batch.ends.length;
    const writing = count < room ? this.#writeOpen(batch, 0, count, onWritten) : this.#writeAcross(batch, room);
    return writing.catch((error: unknown) => {
      throw isDiskFull(error) ? diskFullError(error) : error;
    });
  }

  #markFull(file: DiskFile, firstSeq: number): void {
    if (!this.#full.some((full) => full.firstSeq === firstSeq)) this.#full.push({ file, firstSeq });
  }

  /** A full segment waits for `leaveFull` and `sealFull`, and none is being sealed. */
  get hasFull(): boolean {
    return this.#full.length > 0 && !this.#sealing;
  }

  /** Goes on to the next file when the open one is full. Between two writes. */
  async leaveFull(): Promise<void> {
    if (this.#open.records === this.#segmentRecords) await this.#openNext();
  }

  /**
   * Seals what was full and left. Runs after the batch was acknowledged, beside the writes into the next file: an append
   * must not be cut in two by a crash and a sealed file is never cut, so sealing waits until the whole batch is durable.
   */
  async sealFull(): Promise<void> {
    this.#sealing = true;
    try {
      for (let full = this.#full[0]; full && full.firstSeq < this.#open.firstSeq; full = this.#full[0]) {
        await full.file.datasync();
        await sealSegment(this.#disk, this.#dir, full.firstSeq);
        await full.file.close();
        this.#full.shift();
      }
    } finally {
      this.#sealing = false;
    }
  }

  /** Appends and flushes the lines `[from, to)` of a batch. */
  async #writeOpen({ bytes, ends }: Batch, from: number, to: number, onWritten?: () => void): Promise<void> {
    const open = this.#open;
    const size = this.#file.size();
    if (size !== open.bytes) {
      throw new DavyError(
        ledgerErrors.fenced,
        `${segmentName(open.firstSeq)} has ${size} bytes, this writer left ${open.bytes}: somebody else wrote to it.`,
      );
    }
    const start = from === 0 ? 0 : ends[from - 1]!;
    try {
      appendAll(this.#file, bytes.subarray(start, ends[to - 1]));
    } catch (error) {
      // The part that was taken is not acknowledged; cut it so that the file ends where the chain does.
      if (isDiskFull(error)) await this.#file.truncate(open.bytes);
      throw error;
    }
    const flushing = this.#file.datasync();
    onWritten?.();
    try {
      await flushing;
    } catch (error) {
      // Never retried: after a failed flush the kernel may drop the pages and report the next flush as good.
      throw new DavyError(ledgerErrors.poisoned, `The flush of the log failed: ${messageOf(error)}.`, { cause: error });
    }
    this.#account(ends, start, from, to);
  }

  #account(ends: readonly number[], start: number, from: number, to: number): void {
    const open = this.#open;
    for (let i = untilMark(open.records); i < to - from; i += MARK_EVERY) {
      open.marks.push(open.bytes + (i === 0 ? start : ends[from + i - 1]!) - start);
    }
    open.records += to - from;
    open.bytes += ends[to - 1]! - start;
  }

  /** Writes a batch that fills the open segment, and perhaps more. */
  async #writeAcross(batch: Batch, room: number): Promise<void> {
    const before = { open: { ...this.#open, marks: [...this.#open.marks] }, file: this.#file };
    const count = batch.ends.length;
    const filled: { file: DiskFile; firstSeq: number }[] = [];
    try {
      let from = 0;
      // `room` is 0 when a full disk kept the next file from being made after the last batch.
      for (let take = room || this.#segmentRecords; from < count; take = this.#segmentRecords) {
        if (this.#open.records === this.#segmentRecords) {
          filled.push({ file: this.#file, firstSeq: this.#open.firstSeq });
          await this.#openNext();
        }
        await this.#writeOpen(batch, from, Math.min(from + take, count));
        from += take;
      }
    } catch (error) {
      if (isDiskFull(error)) await this.#undoAcross(before, filled);
      throw error;
    }
    for (const { file, firstSeq } of filled) this.#markFull(file, firstSeq);
    if (this.#open.records === this.#segmentRecords) this.#markFull(this.#file, this.#open.firstSeq);
  }

  /** The disk filled up half way: nothing of the batch may stay, also what went into the older file. */
  async #undoAcross(before: { open: OpenSegment; file: DiskFile }, filled: { firstSeq: number }[]): Promise<void> {
    // Newest first: a crash half way must not leave a file behind a gap.
    for (const { firstSeq } of filled.toReversed()) {
      const path = layout.segment(this.#dir, segmentName(firstSeq + this.#segmentRecords));
      await this.#disk.remove(path);
    }
    if (this.#file !== before.file) await this.#file.close();
    this.#file = before.file;
    this.#open = before.open;
    this.#sealedBytes.length -= filled.length;
    await this.#file.truncate(before.open.bytes);
    await this.#disk.syncDir(layout.log(this.#dir));
  }

  async #openNext(): Promise<void> {
    const firstSeq = this.#open.firstSeq + this.#segmentRecords;
    this.#file = await this.#disk.open(layout.segment(this.#dir, segmentName(firstSeq)), true);
    await this.#disk.syncDir(layout.log(this.#dir));
    this.#sealedBytes.push(this.#open.bytes);
    this.#open = { firstSeq, records: 0, bytes: 0, marks: [] };
  }

  async close(): Promise<void> {
    await this.#file.close();
    for (const { file } of this.#full) if (file !== this.#file) await file.close();
  }
}

/** How many records follow before one whose offset is remembered. */
function untilMark(records: number): number {
  return (MARK_EVERY - (records % MARK_EVERY)) % MARK_EVERY;
}

/** SHA-256 of the first `length` bytes of a file, by default of all of it. */
export async function fileSha256(disk: Disk, path: string, length = Number.MAX_SAFE_INTEGER): Promise<string> {
  const digest = createHash('sha256');
  for (let offset = 0; offset < length; offset += HASH_CHUNK_BYTES) {
    const bytes = await disk.read(path, offset, Math.min(length, offset + HASH_CHUNK_BYTES));
    digest.update(bytes);
    if (bytes.length < HASH_CHUNK_BYTES) break;
  }
  return digest.digest('hex');
}

/** A line of SEALS, as `sha256sum` writes it. */
export function sealLine(sha256: string, name: string): string {
  return `${sha256}  log/${name}\n`;
}

/** Makes a full segment read-only and adds its line to SEALS (`sha256sum -c SEALS` checks it). */
export async function sealSegment(disk: Disk, dir: string, firstSeq: number): Promise<void> {
  const name = segmentName(firstSeq);
  const path = layout.segment(dir, name);
  await disk.chmod(path, 0o444);
  const line = sealLine(await fileSha256(disk, path), name);
  const seals = await disk.open(layout.seals(dir));
  try {
    appendAll(seals, Buffer.from(line));
    await seals.datasync();
  } finally {
    await seals.close();
  }
  await disk.syncDir(dir);
}

import { isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { MAX_LINE_BYTES, ZERO_HASH } from './codec.ts';
import { type ChainRecord, FastLine, RECORD_TIME } from './fast-line.ts';
import { lineEnd } from './lines.ts';
import type { LedgerRecord } from './record.ts';
import { emptyState, type SequencerState } from './sequencer.ts';
import { StreamTable } from './stream-table.ts';
import { type BinaryHash, Frontier, toBinary, toHex } from './tree.ts';

/** The fields of a record in the order of the format; true = always present. */
const FIELDS: readonly (readonly [name: string, required: boolean])[] = [
  ['v', true],
  ['seq', true],
  ['time', true],
  ['w', true],
  ['term', true],
  ['prev', true],
  ['id', true],
  ['type', true],
  ['stream', true],
  ['sv', true],
  ['actor', true],
  ['cause', false],
  ['key', false],
  ['tx', true],
  ['data', true],
  ['att', false],
  ['sd', false],
];

const LEAF_PREFIX = Buffer.from([0]);

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Half a surrogate pair is no text: it has no UTF-8, by which streams are told apart. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.isWellFormed();
}

function fieldOrderProblem(record: object): string | null {
  let at = 0;
  for (const name of Object.keys(record)) {
    while (at < FIELDS.length && FIELDS[at]![0] !== name) {
      if (FIELDS[at]![1]) return `has no field "${FIELDS[at]![0]}" where the format puts it`;
      at += 1;
    }
    if (at === FIELDS.length) return `has an unexpected field "${name.slice(0, 40)}"`;
    at += 1;
  }
  return at > FIELDS.findIndex(([name]) => name === 'data') ? null : 'ends before its field "data"';
}

function shapeProblem(record: LedgerRecord): string | null {
  const order = fieldOrderProblem(record);
  if (order) return order;
  if (record.v !== 1) return 'has an unknown format version';
  if (!isCount(record.term) || !isCount(record.sv)) return 'has a term or stream version that is not a count';
  if (!isText(record.type) || !isText(record.stream)) return 'has no text as type or stream';
  if (typeof record.time !== 'string' || !RECORD_TIME.test(record.time)) return 'has a time that is not RFC 3339 UTC';
  if (!Array.isArray(record.tx) || !isCount(record.tx[0]) || !isCount(record.tx[1])) return 'has a malformed tx';
  if (typeof record.data !== 'object' || record.data === null) return 'has no data object';
  return null;
}

/** What is wrong with the ledger, and where: `seq` is the first record that is not what was written. */
export interface ChainProblem {
  seq: number;
  why: string;
  /** The line itself is a complete record of the right number, so no torn write explains it. */
  wellFormed: boolean;
}

/** Parses a line on its own, without its place; null when it is no record. */
export function parseRecord(line: Buffer): LedgerRecord | null {
  if (!isUtf8(line)) return null;
  try {
    const record = JSON.parse(line.toString('utf8')) as LedgerRecord;
    if (typeof record !== 'object' || record === null) return null;
    return shapeProblem(record) === null ? record : null;
  } catch {
    return null;
  }
}

/** What a detached check expects the segment before to have ended with. */
export interface ChainBegin {
  prev: string;
  /** Records done of the append that continues, and their number; 0, 0 when none does. */
  tx: [done: number, count: number];
  term: number;
  time: string;
}

export interface ChainEnd {
  tip: string;
  tx: [done: number, count: number];
  term: number;
  time: string;
}

/**
 * Walks the lines of a ledger in order and holds the first that breaks the chain. The same walk serves start-up,
 * recovery and `verify`, so what one accepts no other refuses.
 */
export class ChainCheck {
  readonly frontier: Frontier;
  /** Streams and their last versions. */
  readonly streams: StreamTable;
  readonly #keys: SequencerState['keys'];
  readonly #fast = new FastLine();
  #size: number;
  #tip: BinaryHash;
  /** Position of the LF that ends the line accepted last. */
  #end = 0;
  #problem: ChainProblem = { seq: 0, why: '', wellFormed: false };
  /** Position in the append under way: 0 when the last one is complete. */
  #txDone = 0;
  #txCount = 0;
  #term = 0;
  #previousTime = '';
  /** Set while the first record is awaited of a check that begins in the middle of the log. */
  #detached = false;
  #begin: ChainBegin | null = null;
  /** Seq of records that claim an earlier time than the one before (at most the first 100). */
  readonly clockSteps: number[] = [];

  constructor(state: SequencerState = emptyState(ZERO_HASH), frontier: Frontier = new Frontier()) {
    this.frontier = frontier;
    this.streams = new StreamTable(state.streams);
    this.#keys = state.keys;
    this.#size = state.size;
    this.#tip = toBinary(state.tip);
  }

  /**
   * A check of one segment on its own, for several at a time. What only the segment before can say is taken from the
   * first record and handed out as `begin`; the caller joins the segments.
   */
  static detachedAt(firstSeq: number): ChainCheck {
    const check = new ChainCheck({ ...emptyState(ZERO_HASH), size: firstSeq });
    check.#detached = true;
    return check;
  }

  /** Number of records of the log up to here. */
  get size(): number {
    return this.#size;
  }

  /** Leaf hash of the last one, hex. */
  get tip(): string {
    return toHex(this.#tip);
  }

  /** The fold of the records so far; what it was begun with is a part of it. */
  toState(): SequencerState {
    return { size: this.#size, tip: this.tip, streams: this.streams.toMap(), keys: this.#keys };
  }

  get begin(): ChainBegin | null {
    return this.#begin;
  }

  get end(): ChainEnd {
    return { tip: this.tip, tx: [this.#txDone, this.#txCount], term: this.#term, time: this.#previousTime };
  }

  /** Number of records at the end that belong to an append whose rest is missing. */
  get incomplete(): number {
    return this.#txDone;
  }

  /**
   * Checks a chunk of whole lines. Returns the offset in the chunk and the problem of the first line that does not
   * belong, or null. The line ends in `bytes` are overwritten on the way.
   */
  acceptLines(
    bytes: Buffer,
    onRecord?: (record: ChainRecord, start: number) => void,
  ): { at: number; problem: ChainProblem } | null {
    const isValid = isUtf8(bytes);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#fast.use(bytes, view);
    let start = 0;
    while (start < bytes.length) {
      const record =
        isValid || isUtf8(bytes.subarray(start, wholeLineEnd(bytes, start)))
          ? this.#accept(bytes, view, start)
          : this.#bad('is not UTF-8');
      if (record === null) return { at: start, problem: this.#problem };
      onRecord?.(record, start);
      start = this.#end + 1;
    }
    return null;
  }

  /** Null when the line does not belong; `#problem` says why. */
  #accept(bytes: Buffer, view: DataView, start: number): ChainRecord | null {
    const fast = this.#fast;
    let record = fast.read(start, this.#size, this.#tip);
    this.#end = record ? fast.end : wholeLineEnd(bytes, start);
    if (this.#end - start > MAX_LINE_BYTES) return this.#bad(`is longer than ${MAX_LINE_BYTES} bytes`);
    let stream: number;
    if (record) {
      stream = this.streams.find(view, fast.streamStart, fast.streamEnd);
    } else {
      const parsed = this.#parse(bytes, start, this.#end);
      if (parsed === null) return null;
      stream = this.streams.findText(parsed.stream);
      record = parsed;
    }
    const place = this.#placeProblem(record, stream);
    if (place) return this.#bad(place, true);
    this.#tip = lineLeaf(bytes, start, this.#end);
    this.frontier.appendBinary(this.#tip);
    this.streams.setVersion(stream, record.sv);
    if (record.key !== undefined) this.#keys.set(record.key, [record.seq, record.tx[1]]);
    this.#size += 1;
    return record;
  }

  #bad(why: string, wellFormed = false, seq = this.#size): null {
    this.#problem = { seq, why, wellFormed };
    return null;
  }

  /** Reads a line in full and holds its `prev` against the line before. */
  #parse(bytes: Buffer, start: number, end: number): LedgerRecord | null {
    const seq = this.#size;
    const text = bytes.toString('utf8', start, end);
    if (!text.startsWith(`{"v":1,"seq":${seq},"time":"`)) return this.#wrongHead(bytes, start, end);
    let parsed: LedgerRecord;
    try {
      parsed = JSON.parse(text) as LedgerRecord;
    } catch {
      return this.#bad('is not JSON');
    }
    const shape = shapeProblem(parsed);
    if (shape) return this.#bad(shape);
    this.#fast.learn(parsed);
    if (this.#detached) this.#attach(parsed);
    else if (parsed.prev !== this.tip) {
      return seq === 0
        ? this.#bad('is the first record but names one before it', true, 0)
        : this.#bad('is not the record that the next one was chained to', true, seq - 1);
    }
    return parsed;
  }

  #attach({ prev, tx, term, time }: LedgerRecord): void {
    this.#detached = false;
    this.#begin = { prev, tx: [tx[0] - 1, tx[0] === 1 ? 0 : tx[1]], term, time };
    this.#txDone = tx[0] - 1;
    this.#txCount = tx[1];
  }

  #wrongHead(bytes: Buffer, start: number, end: number): null {
    const record = parseRecord(bytes.subarray(start, end));
    if (!record) return this.#bad('is not a record');
    return this.#bad(`is missing; record ${record.seq} stands in its place`, true);
  }

  #placeProblem(record: ChainRecord, stream: number): string | null {
    const last = this.streams.version(stream);
    // What a stream had before a check that begins in the middle is for the caller to compare.
    const expected = last === -1 && this.#begin ? record.sv : last + 1;
    if (record.sv !== expected) return `has stream version ${record.sv}, expected ${expected}`;
    if (record.term < this.#term) return `was written in term ${record.term}, after term ${this.#term}`;
    const [i, n] = record.tx;
    if (this.#txDone === 0 ? i !== 1 : i !== this.#txDone + 1 || n !== this.#txCount) return 'breaks an atomic append';
    if (i > n) return 'has a malformed tx';
    this.#txDone = i === n ? 0 : i;
    this.#txCount = n;
    this.#term = record.term;
    if (record.time < this.#previousTime && this.clockSteps.length < 100) this.clockSteps.push(record.seq);
    this.#previousTime = record.time;
    return null;
  }
}

function wholeLineEnd(bytes: Buffer, start: number): number {
  const end = lineEnd(bytes, start);
  if (end === -1) throw new RangeError('a chunk must end with an LF');
  return end;
}

/** Leaf hash of `bytes[start, end)`; uses the byte before, the LF of the line before, as the leaf prefix. */
export function lineLeaf(bytes: Buffer, start: number, end: number): BinaryHash {
  if (start === 0) return hash('sha256', Buffer.concat([LEAF_PREFIX, bytes.subarray(0, end)]), 'binary');
  bytes[start - 1] = 0;
  return hash('sha256', bytes.subarray(start - 1, end), 'binary');
}

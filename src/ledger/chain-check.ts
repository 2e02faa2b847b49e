import { isAscii, isUtf8 } from 'node:buffer';
import { hash } from 'node:crypto';
import { MAX_LINE_BYTES, ZERO_HASH } from './codec.ts';
import { type ChainRecord, FastLine, RECORD_TIME } from './fast-line.ts';
import { lineEnd } from './lines.ts';
import type { LedgerRecord } from './record.ts';
import { applyRecord, emptyState, type SequencerState } from './sequencer.ts';
import { Frontier } from './tree.ts';

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
  if (typeof record.type !== 'string' || typeof record.stream !== 'string') return 'has no text as type or stream';
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
  /** First version seen of every stream. */
  versions: Map<string, number>;
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
  readonly state: SequencerState;
  readonly frontier: Frontier;
  readonly #fast = new FastLine();
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
    this.state = state;
    this.frontier = frontier;
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

  get begin(): ChainBegin | null {
    return this.#begin;
  }

  get end(): ChainEnd {
    return { tip: this.state.tip, tx: [this.#txDone, this.#txCount], term: this.#term, time: this.#previousTime };
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
    // One text for the whole chunk costs less than one per line; offsets agree as long as every byte is a character.
    const text = isAscii(bytes) ? bytes.toString('latin1') : null;
    const isText = text !== null || isUtf8(bytes);
    let start = 0;
    while (start < bytes.length) {
      const end = text === null ? lineEnd(bytes, start) : text.indexOf('\n', start);
      if (end === -1) throw new RangeError('a chunk must end with an LF');
      const result =
        isText || isUtf8(bytes.subarray(start, end))
          ? this.#accept(bytes, start, end, text)
          : { seq: this.state.size, why: 'is not UTF-8', wellFormed: false };
      if ('why' in result) return { at: start, problem: result };
      onRecord?.(result, start);
      start = end + 1;
    }
    return null;
  }

  #accept(bytes: Buffer, start: number, end: number, chunk: string | null): ChainRecord | ChainProblem {
    const seq = this.state.size;
    const bad = (why: string, at = seq, wellFormed = false): ChainProblem => ({ seq: at, why, wellFormed });
    if (end - start > MAX_LINE_BYTES) return bad(`is longer than ${MAX_LINE_BYTES} bytes`);
    let record = chunk === null ? null : this.#fast.read(chunk, start, end, seq, this.state.tip);
    if (record) {
      // What the state keeps must not hold on to the text of a whole chunk.
      if (record.key !== undefined) record.key = copyOf(record.key);
    } else {
      const text = bytes.toString('utf8', start, end);
      if (!text.startsWith(`{"v":1,"seq":${seq},"time":"`)) return this.#wrongHead(bytes, start, end);
      let parsed: LedgerRecord;
      try {
        parsed = JSON.parse(text) as LedgerRecord;
      } catch {
        return bad('is not JSON');
      }
      const shape = shapeProblem(parsed);
      if (shape) return bad(shape);
      if (this.#detached) this.#attach(parsed);
      this.#fast.learn(parsed);
      record = parsed;
    }
    if (record.prev !== this.state.tip) {
      return seq === 0
        ? bad('is the first record but names one before it', 0, true)
        : bad('is not the record that the next one was chained to', seq - 1, true);
    }
    const place = this.#placeProblem(record);
    if (place) return bad(place, seq, true);
    const leaf = lineLeaf(bytes, start, end);
    applyRecord(this.state, record, leaf);
    this.frontier.append(leaf);
    return record;
  }

  #attach(record: LedgerRecord): void {
    const { prev, tx, term, time } = record;
    this.#detached = false;
    this.#begin = { prev, tx: [tx[0] - 1, tx[0] === 1 ? 0 : tx[1]], term, time, versions: new Map() };
    this.state.tip = prev;
    this.#txDone = tx[0] - 1;
    this.#txCount = tx[1];
  }

  #wrongHead(bytes: Buffer, start: number, end: number): ChainProblem {
    const seq = this.state.size;
    const record = parseRecord(bytes.subarray(start, end));
    if (!record) return { seq, why: 'is not a record', wellFormed: false };
    return { seq, why: `is missing; record ${record.seq} stands in its place`, wellFormed: true };
  }

  #placeProblem(record: ChainRecord): string | null {
    const lastSv = this.state.streams.get(record.stream);
    if (lastSv === undefined) record.stream = copyOf(record.stream);
    if (lastSv === undefined && this.#begin) this.#begin.versions.set(record.stream, record.sv);
    const expectedSv = lastSv === undefined && this.#begin ? record.sv : (lastSv ?? -1) + 1;
    if (record.sv !== expectedSv) return `has stream version ${record.sv}, expected ${expectedSv}`;
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

/** The same text without the longer one that it may be a slice of. */
function copyOf(text: string): string {
  return Buffer.from(text).toString();
}

/** Leaf hash of `bytes[start, end)`; uses the byte before, the LF of the line before, as the leaf prefix. */
export function lineLeaf(bytes: Buffer, start: number, end: number): string {
  if (start === 0) return hash('sha256', Buffer.concat([LEAF_PREFIX, bytes.subarray(0, end)]), 'hex');
  bytes[start - 1] = 0;
  return hash('sha256', bytes.subarray(start - 1, end), 'hex');
}

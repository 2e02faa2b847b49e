import { BytePattern, HASH_DIGITS, hexMatches } from './byte-pattern.ts';
import { digitsEnd, digitsValue, objectEnd, stringEnd } from './json-walk.ts';
import type { LedgerRecord } from './record.ts';
import type { BinaryHash } from './tree.ts';

/** What the chain needs of a record. `data`, `stream` and the rest are there only when the line was parsed in full. */
export type ChainRecord = Pick<LedgerRecord, 'seq' | 'type' | 'sv' | 'tx' | 'term' | 'time' | 'key' | 'att'> &
  Partial<LedgerRecord>;

const LF = 10;
const QUOTE = 34;
const COMMA = 44;
const CLOSE_BRACE = 125;
const MINUS = 45;
const ID_LENGTH = 36;
const TIME_LENGTH = 24;
const MAX_TYPES = 256;
export const RECORD_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const HEAD = new BytePattern('{"v":1,"seq":');
const TIME = new BytePattern(',"time":"');
const ID = new BytePattern('","id":"');
const TYPE = new BytePattern('","type":"');
const LEDGER = new BytePattern('ledger.');
const STREAM = new BytePattern('","stream":"');
const VERSION = new BytePattern('","sv":');
const CAUSE = new BytePattern(',"cause":"');
const KEY = new BytePattern(',"key":"');
const TX = new BytePattern(',"tx":[');
const DATA = new BytePattern('],"data":');
const ALONE = new BytePattern(',"tx":[1,1],"data":');

/** 1 for the bytes of a UUID. */
const IS_ID = Uint8Array.from({ length: 256 }, (_, byte) =>
  (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 102) || byte === MINUS ? 1 : 0,
);

/**
 * Reads a line in exactly the form that the encoder writes, without building the record: the head by comparison with
 * what the line before had (same writer, same actor, usually the same time), the data by walking over it, a fraction of
 * the cost of `JSON.parse`. Whatever is unusual (an escape, an attachment, a description of the ledger itself, or
 * anything that is not canonical) yields null, and the caller parses it in full: this never accepts what that would refuse.
 */
export class FastLine {
  /** Position of the LF that ends the line read last. */
  end = 0;
  /** Where its stream stands. */
  streamStart = 0;
  streamEnd = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #type = '';
  /** The type of the line before and what stands around it, and of those before that. */
  #typeBytes: BytePattern | null = null;
  readonly #types = new Map<string, BytePattern>();
  #time = '';
  #timeBytes: BytePattern | null = null;
  #writer = '';
  #writerBytes: BytePattern | null = null;
  #term = 0;
  #actor = '';
  #actorBytes: BytePattern | null = null;

  /** Learns time, writer and actor from a record that was parsed in full. */
  learn(record: LedgerRecord): void {
    const writer = `","w":${JSON.stringify(record.w)},"term":${record.term},"prev":"`;
    const actor = `,"actor":${JSON.stringify(record.actor)}`;
    if (writer !== this.#writer) this.#writerBytes = new BytePattern(writer);
    if (actor !== this.#actor) this.#actorBytes = new BytePattern(actor);
    this.#writer = writer;
    this.#actor = actor;
    this.#term = record.term;
  }

  /** The chunk that the next lines stand in; UTF-8, with an LF at its end. */
  use(bytes: Buffer, view: DataView): void {
    this.#bytes = bytes;
    this.#view = view;
  }

  /** Reads the line at `start`, up to the LF that is `end` then; `prev` is the hash of the line before. */
  read(start: number, seq: number, prev: BinaryHash): ChainRecord | null {
    const bytes = this.#bytes;
    const view = this.#view;
    this.#at = start;
    if (!this.#skip(HEAD) || this.#digits() !== seq || !this.#skip(TIME) || !this.#skipTime()) return null;
    if (!this.#writerBytes || !this.#skip(this.#writerBytes) || !hexMatches(view, this.#at, prev)) return null;
    this.#at += HASH_DIGITS;
    if (!this.#skip(ID) || !this.#skipId() || !this.#skipType()) return null;
    const type = this.#type;
    this.streamStart = this.#at;
    if (!this.#skipText()) return null;
    this.streamEnd = this.#at;
    if (!this.#skip(VERSION)) return null;
    const sv = this.#digits();
    if (sv < 0 || !this.#actorBytes || !this.#skip(this.#actorBytes)) return null;
    const record: ChainRecord = { seq, type, sv, tx: [1, 1], term: this.#term, time: this.#time };
    if (!this.#skip(ALONE) && !this.#readAppend(record)) return null;
    const end = objectEnd(bytes, this.#at);
    if (end === -1 || bytes[end] !== CLOSE_BRACE || bytes[end + 1] !== LF) return null;
    this.end = end + 1;
    return record;
  }

  /** Cause, key and place in the append: absent in most records, which are appended alone. */
  #readAppend(record: ChainRecord): boolean {
    if (this.#skip(CAUSE) && !(this.#skipText() && this.#skipByte(QUOTE))) return false;
    if (this.#skip(KEY)) {
      const start = this.#at;
      if (!this.#skipText()) return false;
      record.key = this.#bytes.toString('utf8', start, this.#at);
      this.#at += 1;
    }
    if (!this.#skip(TX)) return false;
    const i = this.#digits();
    if (i < 0 || !this.#skipByte(COMMA)) return false;
    const n = this.#digits();
    record.tx = [i, n];
    return n >= 0 && this.#skip(DATA);
  }

  #skipByte(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at += 1;
    return true;
  }

  /** Passes the type and the name of the next field; neighbours are often of one type. */
  #skipType(): boolean {
    if (this.#typeBytes !== null && this.#skip(this.#typeBytes)) return true;
    const start = this.#at;
    if (!this.#skip(TYPE) || LEDGER.matches(this.#view, this.#at)) return false;
    const nameStart = this.#at;
    if (!this.#skipText()) return false;
    const type = this.#bytes.toString('utf8', nameStart, this.#at);
    if (!this.#skip(STREAM)) return false;
    if (this.#types.size === MAX_TYPES) this.#types.clear();
    this.#typeBytes = this.#types.get(type) ?? new BytePattern(this.#bytes.subarray(start, this.#at));
    this.#types.set(type, this.#typeBytes);
    this.#type = type;
    return true;
  }

  #skip(pattern: BytePattern): boolean {
    if (!pattern.matches(this.#view, this.#at)) return false;
    this.#at += pattern.length;
    return true;
  }

  #skipTime(): boolean {
    if (this.#timeBytes !== null && this.#skip(this.#timeBytes)) return true;
    const end = this.#at + TIME_LENGTH;
    const time = this.#bytes.toString('latin1', this.#at, end);
    if (!RECORD_TIME.test(time)) return false;
    this.#time = time;
    this.#timeBytes = new BytePattern(time);
    this.#at = end;
    return true;
  }

  #skipId(): boolean {
    const bytes = this.#bytes;
    const end = this.#at + ID_LENGTH;
    for (let at = this.#at; at < end; at++) if (IS_ID[bytes[at]!] !== 1) return false;
    this.#at = end;
    return true;
  }

  /** Passes a text up to its closing quote, with which the next pattern begins. */
  #skipText(): boolean {
    const end = stringEnd(this.#bytes, this.#at);
    if (end === -1) return false;
    this.#at = end;
    return true;
  }

  /** A non-negative integer without leading zeros, or -1. */
  #digits(): number {
    const end = digitsEnd(this.#bytes, this.#at);
    if (end === -1) return -1;
    const value = digitsValue(this.#bytes, this.#at, end);
    this.#at = end;
    return value;
  }
}

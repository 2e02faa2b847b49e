import type { LedgerRecord } from './record.ts';

/** What the chain needs of a record. `data`, `actor` and the rest are there only when the line was parsed in full. */
export type ChainRecord = Pick<
  LedgerRecord,
  'seq' | 'type' | 'stream' | 'sv' | 'tx' | 'term' | 'time' | 'prev' | 'key' | 'att'
> &
  Partial<LedgerRecord>;

const QUOTE = 34;
const BACKSLASH = 92;
const OPEN_BRACE = 123;
const CLOSE_BRACE = 125;
const OPEN_BRACKET = 91;
const CLOSE_BRACKET = 93;
const COMMA = 44;
const COLON = 58;
const MINUS = 45;
const DOT = 46;
const ZERO = 48;
const MAX_DEPTH = 32;
const MAX_DIGITS = 15;
const ID_LENGTH = 36;
const TIME_LENGTH = 24;
export const RECORD_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/**
 * Reads a line in exactly the form that the encoder writes, without building the record: the head by comparison with
 * the line before (same writer, same actor, usually the same time), the data by walking over it. A quarter of the cost
 * of `JSON.parse`. Whatever is unusual (an escape, an attachment, a description of the ledger itself, or anything that
 * is not canonical) yields null, and the caller parses it in full: this never accepts what that would refuse.
 */
export class FastLine {
  #text = '';
  #at = 0;
  #time = '';
  #writer = '';
  #term = 0;
  #actor = '';
  /** Type of the line before and what stands around it: neighbours are often of one type. */
  #type = '';
  #typeHead = '';

  /** Learns writer and actor from a record that was parsed in full. */
  learn(record: LedgerRecord): void {
    this.#time = record.time;
    this.#writer = `","w":${JSON.stringify(record.w)},"term":${record.term},"prev":"`;
    this.#term = record.term;
    this.#actor = `,"actor":${JSON.stringify(record.actor)}`;
  }

  /**
   * Reads `text[start, end)`, which may be a part of a long text: the character at `end` must be a line feed or the end.
   * The texts of the result are slices that keep `text` alive; copy what is to stay.
   */
  read(text: string, start: number, end: number, seq: number, prev: string): ChainRecord | null {
    if (this.#writer === '') return null;
    this.#text = text;
    this.#at = start;
    if (!this.#skip('{"v":1,"seq":') || this.#digits() !== seq || !this.#skip(',"time":"')) return null;
    if (!this.#skipTime() || !this.#skip(this.#writer) || !this.#skip(prev)) return null;
    if (!this.#skip('","id":"') || !this.#skipId() || !this.#skipType()) return null;
    const type = this.#type;
    const stream = this.#plainText();
    if (stream === null || !this.#skip(',"sv":')) return null;
    const sv = this.#digits();
    if (sv < 0 || !this.#skip(this.#actor)) return null;
    let key: string | undefined;
    let tx: [number, number] | null = [1, 1];
    if (!this.#skip(',"tx":[1,1],"data":')) {
      if (this.#skip(',"cause":"') && this.#plainText() === null) return null;
      if (this.#skip(',"key":"')) {
        const found = this.#plainText();
        if (found === null) return null;
        key = found;
      }
      tx = this.#tx();
      if (tx === null) return null;
    }
    if (text.charCodeAt(this.#at) !== OPEN_BRACE || !this.#value(0)) return null;
    if (text.charCodeAt(this.#at) !== CLOSE_BRACE || this.#at !== end - 1) return null;
    const record: ChainRecord = { seq, type, stream, sv, tx, term: this.#term, time: this.#time, prev };
    if (key !== undefined) record.key = key;
    return record;
  }

  /** Passes the type and the name of the next field; the type is then `#type`. */
  #skipType(): boolean {
    if (this.#typeHead !== '' && this.#skip(this.#typeHead)) return true;
    if (!this.#skip('","type":"')) return false;
    const type = this.#plainText();
    if (type === null || type.startsWith('ledger.') || !this.#skip(',"stream":"')) return false;
    this.#type = type;
    this.#typeHead = `","type":"${type}","stream":"`;
    return true;
  }

  #tx(): [number, number] | null {
    if (!this.#skip(',"tx":[')) return null;
    const i = this.#digits();
    if (i < 0 || !this.#skip(',')) return null;
    const n = this.#digits();
    return n < 0 || !this.#skip('],"data":') ? null : [i, n];
  }

  #skip(expected: string): boolean {
    // Four times as fast as startsWith() with a position.
    const end = this.#at + expected.length;
    if (this.#text.substring(this.#at, end) !== expected) return false;
    this.#at = end;
    return true;
  }

  #skipTime(): boolean {
    const end = this.#at + TIME_LENGTH;
    const time = this.#text.substring(this.#at, end);
    if (time !== this.#time) {
      if (!RECORD_TIME.test(time)) return false;
      this.#time = time;
    }
    this.#at = end;
    return true;
  }

  #skipId(): boolean {
    const text = this.#text;
    const end = this.#at + ID_LENGTH;
    for (let at = this.#at; at < end; at++) {
      const code = text.charCodeAt(at);
      const isHex = (code >= 48 && code <= 57) || (code >= 97 && code <= 102);
      if (!isHex && code !== MINUS) return false;
    }
    this.#at = end;
    return true;
  }

  /** The text up to the next quote, which is passed; null when it holds an escape or a control character. */
  #plainText(): string | null {
    const start = this.#at;
    if (!this.#string()) return null;
    return this.#text.slice(start, this.#at - 1);
  }

  /** A non-negative integer without leading zeros, or -1. */
  #digits(): number {
    const text = this.#text;
    const start = this.#at;
    let value = 0;
    let at = start;
    for (let code = text.charCodeAt(at); code >= 48 && code <= 57; code = text.charCodeAt(at)) {
      value = value * 10 + (code - ZERO);
      at += 1;
    }
    const length = at - start;
    if (length === 0 || length > MAX_DIGITS || (length > 1 && text.charCodeAt(start) === ZERO)) return -1;
    this.#at = at;
    return value;
  }

  /** Passes the rest of a string and its closing quote. */
  #string(): boolean {
    const text = this.#text;
    for (let at = this.#at; ; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        return true;
      }
      // NaN, beyond the end, fails the comparison too
      if (!(code >= 32) || code === BACKSLASH) return false;
    }
  }

  #value(depth: number): boolean {
    const text = this.#text;
    const code = text.charCodeAt(this.#at);
    if (code === QUOTE) {
      this.#at += 1;
      return this.#string();
    }
    if (code === MINUS || (code >= 48 && code <= 57)) return this.#number();
    if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      if (depth >= MAX_DEPTH) return false;
      this.#at += 1;
      return code === OPEN_BRACE ? this.#object(depth + 1) : this.#array(depth + 1);
    }
    return this.#skip('true') || this.#skip('false') || this.#skip('null');
  }

  #object(depth: number): boolean {
    const text = this.#text;
    if (text.charCodeAt(this.#at) === CLOSE_BRACE) {
      this.#at += 1;
      return true;
    }
    for (;;) {
      if (text.charCodeAt(this.#at) !== QUOTE) return false;
      this.#at += 1;
      if (!this.#string() || text.charCodeAt(this.#at) !== COLON) return false;
      this.#at += 1;
      if (!this.#value(depth)) return false;
      const code = text.charCodeAt(this.#at);
      this.#at += 1;
      if (code === CLOSE_BRACE) return true;
      if (code !== COMMA) return false;
    }
  }

  #array(depth: number): boolean {
    const text = this.#text;
    if (text.charCodeAt(this.#at) === CLOSE_BRACKET) {
      this.#at += 1;
      return true;
    }
    for (;;) {
      if (!this.#value(depth)) return false;
      const code = text.charCodeAt(this.#at);
      this.#at += 1;
      if (code === CLOSE_BRACKET) return true;
      if (code !== COMMA) return false;
    }
  }

  /** Integers and decimals; an exponent is left to the full parser. */
  #number(): boolean {
    const text = this.#text;
    if (text.charCodeAt(this.#at) === MINUS) this.#at += 1;
    if (this.#digits() < 0) return false;
    if (text.charCodeAt(this.#at) !== DOT) return true;
    let at = this.#at + 1;
    for (let code = text.charCodeAt(at); code >= 48 && code <= 57; code = text.charCodeAt(at)) at += 1;
    if (at === this.#at + 1) return false;
    this.#at = at;
    return true;
  }
}

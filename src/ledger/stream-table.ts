const WORD = 4;
/** An odd number with bits all over, which spreads a word over the hash (the golden ratio; Knuth, TAOCP 6.4). */
const SPREAD = 0x9e3779b1;
/** Names that somebody chose to collide must not make a walk slow: beyond so many tries a Map has the name. */
const MAX_TRIES = 8;
const FIRST_NAMES = 512;
const FIRST_BYTES = 16_384;

/** The streams of a part of the log in the order of their first record: plain arrays, quick to hand to another thread. */
export interface StreamColumns {
  /** The names one after the other, UTF-8. */
  names: Uint8Array;
  /** Where each name ends in `names`. */
  ends: Uint32Array;
  /** First and last version seen of each. */
  firsts: Float64Array;
  lasts: Float64Array;
}

/**
 * The last version of every stream. A long log takes tens of thousands of streams in turn, and looking each up by its text
 * in a Map costs a decoding and several cache misses a record; here names and versions lie packed in a few arrays and are
 * found by their bytes.
 */
export class StreamTable {
  /** Versions from before, by name: not copied in but looked up when a stream is first met. */
  readonly #base: Map<string, number>;
  /** id + 1 by hash, 0 where free; at most half full. */
  #slots = new Int32Array(2 * FIRST_NAMES);
  #names = Buffer.alloc(FIRST_BYTES);
  #view = viewOf(this.#names);
  #ends = new Uint32Array(FIRST_NAMES);
  #firsts = new Float64Array(FIRST_NAMES);
  #lasts = new Float64Array(FIRST_NAMES);
  #size = 0;
  readonly #crowded = new Map<string, number>();

  constructor(base: Map<string, number> = new Map()) {
    this.#base = base;
  }

  /** The id of the stream whose name is `bytes[from, to)` (UTF-8), a new one when it was never met. */
  find(view: DataView, from: number, to: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hashOf(view, from, to) & mask;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const id = slots[slot]! - 1;
      if (id === -1) return this.#add(view, from, to, slot);
      if (this.#isNamed(id, view, from, to)) return id;
      slot = (slot + 1) & mask;
    }
    return this.#crowded.get(textOf(view, from, to)) ?? this.#add(view, from, to, -1);
  }

  /** The same by text, which must be well-formed Unicode. */
  findText(name: string): number {
    const bytes = Buffer.from(name);
    return this.find(viewOf(bytes), 0, bytes.length);
  }

  /** Its last version; -1 when it has no record yet. */
  version(id: number): number {
    return this.#lasts[id]!;
  }

  setVersion(id: number, version: number): void {
    if (this.#lasts[id] === -1) this.#firsts[id] = version;
    this.#lasts[id] = version;
  }

  columns(): StreamColumns {
    const size = this.#size;
    return {
      names: new Uint8Array(this.#names.subarray(0, size === 0 ? 0 : this.#ends[size - 1])),
      ends: this.#ends.slice(0, size),
      firsts: this.#firsts.slice(0, size),
      lasts: this.#lasts.slice(0, size),
    };
  }

  /** Takes over what a later part of the log says; false when a stream does not go on there where it ended here. */
  append({ names, ends, firsts, lasts }: StreamColumns): boolean {
    const view = viewOf(names);
    for (let i = 0; i < ends.length; i++) {
      const id = this.find(view, i === 0 ? 0 : ends[i - 1]!, ends[i]!);
      if (firsts[i] !== this.version(id) + 1) return false;
      this.setVersion(id, lasts[i]!);
    }
    return true;
  }

  /** All versions by name, those from before included. */
  toMap(): Map<string, number> {
    for (let id = 0; id < this.#size; id++) {
      if (this.#lasts[id] !== -1) this.#base.set(this.#nameOf(id), this.#lasts[id]!);
    }
    return this.#base;
  }

  #nameOf(id: number): string {
    return this.#names.toString('utf8', this.#start(id), this.#ends[id]);
  }

  #start(id: number): number {
    return id === 0 ? 0 : this.#ends[id - 1]!;
  }

  #isNamed(id: number, view: DataView, from: number, to: number): boolean {
    const start = this.#start(id);
    const length = to - from;
    if (this.#ends[id]! - start !== length) return false;
    const mine = this.#view;
    if (length < WORD) {
      for (let i = 0; i < length; i++) if (mine.getUint8(start + i) !== view.getUint8(from + i)) return false;
      return true;
    }
    const last = length - WORD;
    for (let i = 0; i < last; i += WORD) {
      if (mine.getInt32(start + i, true) !== view.getInt32(from + i, true)) return false;
    }
    return mine.getInt32(start + last, true) === view.getInt32(from + last, true);
  }

  /** `slot` is a free one, or -1 when the name's places are all taken. */
  #add(view: DataView, from: number, to: number, slot: number): number {
    const id = this.#size;
    if (id === this.#ends.length) {
      this.#grow();
      return this.find(view, from, to);
    }
    const start = this.#start(id);
    const end = start + to - from;
    if (end > this.#names.length) {
      this.#names = Buffer.concat([this.#names], 2 * end);
      this.#view = viewOf(this.#names);
    }
    this.#names.set(new Uint8Array(view.buffer, view.byteOffset + from, to - from), start);
    this.#ends[id] = end;
    this.#size += 1;
    if (slot === -1) this.#crowded.set(this.#nameOf(id), id);
    else this.#slots[slot] = id + 1;
    this.#lasts[id] = this.#base.size === 0 ? -1 : (this.#base.get(this.#nameOf(id)) ?? -1);
    return id;
  }

  #grow(): void {
    const room = 2 * this.#ends.length;
    const columns = this.columns();
    this.#ends = new Uint32Array(room);
    this.#firsts = new Float64Array(room);
    this.#lasts = new Float64Array(room);
    this.#ends.set(columns.ends);
    this.#firsts.set(columns.firsts);
    this.#lasts.set(columns.lasts);
    this.#slots = new Int32Array(2 * room);
    this.#crowded.clear();
    for (let id = 0; id < this.#size; id++) this.#place(id);
  }

  #place(id: number): void {
    const mask = this.#slots.length - 1;
    let slot = hashOf(this.#view, this.#start(id), this.#ends[id]!) & mask;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (this.#slots[slot] === 0) {
        this.#slots[slot] = id + 1;
        return;
      }
      slot = (slot + 1) & mask;
    }
    this.#crowded.set(this.#nameOf(id), id);
  }
}

function hashOf(view: DataView, from: number, to: number): number {
  let key = to - from;
  if (key < WORD) {
    for (let at = from; at < to; at++) key = Math.imul(key ^ view.getUint8(at), SPREAD);
    return key ^ (key >>> 16);
  }
  const last = to - WORD;
  for (let at = from; at < last; at += WORD) {
    key = Math.imul(key ^ view.getInt32(at, true), SPREAD);
    key ^= key >>> 15;
  }
  key = Math.imul(key ^ view.getInt32(last, true), SPREAD);
  return key ^ (key >>> 16);
}

function textOf(view: DataView, from: number, to: number): string {
  return Buffer.from(view.buffer, view.byteOffset + from, to - from).toString();
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

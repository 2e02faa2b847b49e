import type { BinaryHash } from './tree.ts';

const WORD = 4;

/** A run of at least four bytes that is looked for at a known place. Four bytes a step: twice as fast as comparing texts. */
export class BytePattern {
  readonly length: number;
  readonly #words: Int32Array;
  /** The last four bytes; they overlap the last word when the length is no multiple of four. */
  readonly #last: number;

  constructor(text: string | Uint8Array) {
    const bytes = Buffer.from(text);
    if (bytes.length < WORD) throw new RangeError('a pattern has at least four bytes');
    this.length = bytes.length;
    this.#words = new Int32Array(Math.floor((bytes.length - 1) / WORD));
    for (let i = 0; i < this.#words.length; i++) this.#words[i] = bytes.readInt32LE(i * WORD);
    this.#last = bytes.readInt32LE(bytes.length - WORD);
  }

  /** Whether these bytes stand at `at`. */
  matches(view: DataView, at: number): boolean {
    const last = at + this.length - WORD;
    if (last + WORD > view.byteLength) return false;
    const words = this.#words;
    for (let i = 0; i < words.length; i++) {
      if (view.getInt32(at + i * WORD, true) !== words[i]) return false;
    }
    return view.getInt32(last, true) === this.#last;
  }
}

/** The two hex digits of every byte, as they lie in memory (little-endian). */
const HEX_DIGITS = Uint16Array.from({ length: 256 }, (_, byte) =>
  Buffer.from(Buffer.of(byte).toString('hex')).readUInt16LE(),
);
const HASH_BYTES = 32;
export const HASH_DIGITS = 64;

/** Whether the hex digits of `hash` stand at `at`. */
export function hexMatches(view: DataView, at: number, hash: BinaryHash): boolean {
  if (hash.length !== HASH_BYTES || at + HASH_DIGITS > view.byteLength) return false;
  for (let i = 0; i < HASH_BYTES; i++) {
    if (view.getUint16(at + 2 * i, true) !== HEX_DIGITS[hash.charCodeAt(i)]) return false;
  }
  return true;
}

import { randomBytes } from 'node:crypto';

/**
 * xorshift128 (Marsaglia 2003), seeded from the system: for trace ids, jitter and phases. Not for secrets.
 */
const seed = randomBytes(16);
let a = seed.readUInt32LE(0) | 1;
let b = seed.readUInt32LE(4);
let c = seed.readUInt32LE(8);
let d = seed.readUInt32LE(12);

export function random32(): number {
  let t = d;
  d = c;
  c = b;
  b = a;
  t ^= t << 11;
  t ^= t >>> 8;
  a = t ^ a ^ (a >>> 19);
  return a >>> 0;
}

/** 0 <= x < 1. */
export function randomShare(): number {
  return random32() / 2 ** 32;
}

/** Writes `words` times eight hex digits. Returns the new end. */
export function writeRandomHex(words: number, to: Uint8Array, at: number): number {
  for (let word = 0; word < words; word++) {
    let bits = random32();
    for (let i = 0; i < 8; i++) {
      const nibble = bits & 15;
      to[at++] = nibble < 10 ? 48 + nibble : 87 + nibble;
      bits >>>= 4;
    }
  }
  return at;
}

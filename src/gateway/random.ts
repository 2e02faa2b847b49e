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

/** The two hex digits of each octet. */
const HIGH = new Uint8Array(256);
const LOW = new Uint8Array(256);
for (let octet = 0; octet < 256; octet++) {
  HIGH[octet] = '0123456789abcdef'.charCodeAt(octet >> 4);
  LOW[octet] = '0123456789abcdef'.charCodeAt(octet & 15);
}

/** Writes `words` times eight hex digits. Returns the new end. */
export function writeRandomHex(words: number, to: Uint8Array, at: number): number {
  const end = at + words * 8;
  for (let from = at; from < end; from += 8) {
    const bits = random32();
    for (let i = 0; i < 4; i++) {
      const octet = (bits >>> (i * 8)) & 255;
      to[from + i * 2] = HIGH[octet]!;
      to[from + i * 2 + 1] = LOW[octet]!;
    }
  }
  return end;
}

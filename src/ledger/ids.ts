import { randomFillSync } from 'node:crypto';

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const POOL_BYTES = 8_000;

/**
 * Ids for records: UUID version 7 (RFC 9562 section 5.7), 48 bits of wall-clock milliseconds and 74 random bits.
 * Random bytes are drawn in pools because one system call per id would cost more than the id.
 */
export function createUuidV7(nowMs: () => number, fill: (pool: Uint8Array) => void = randomFillSync): () => string {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  let prefixMs = -1;
  let prefix = '';
  return () => {
    const ms = Math.max(0, Math.floor(nowMs()));
    if (ms !== prefixMs) {
      const hex = ms.toString(16).padStart(12, '0');
      prefix = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7`;
      prefixMs = ms;
    }
    if (used + 10 > POOL_BYTES) {
      fill(pool);
      used = 0;
    }
    const at = used;
    used += 10;
    const h = (i: number): string => HEX[pool[at + i]!]!;
    const variant = HEX[(pool[at + 2]! & 0x3f) | 0x80]!;
    return `${prefix}${h(0).charAt(0)}${h(1)}-${variant}${h(3)}-${h(4)}${h(5)}${h(6)}${h(7)}${h(8)}${h(9)}`;
  };
}

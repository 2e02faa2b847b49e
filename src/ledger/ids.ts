import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 8_000;
const ID_BYTES = 10;

/**
 * Ids for records: UUID version 7 (RFC 9562 section 5.7), 48 bits of wall-clock milliseconds and 74 random bits.
 * Random bytes are drawn, and turned into hex, in pools: a system call or ten small texts per id cost more than the id.
 */
export function createUuidV7(nowMs: () => number, fill: (pool: Uint8Array) => void = randomFillSync): () => string {
  const pool = Buffer.alloc(POOL_BYTES);
  let digits = '';
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
    if (used === POOL_BYTES) {
      fill(pool);
      digits = pool.toString('hex');
      used = 0;
    }
    const at = used * 2;
    const variant = '89ab'.charAt(pool[used + 2]! >> 6);
    used += ID_BYTES;
    return `${prefix}${digits.slice(at, at + 3)}-${variant}${digits.slice(at + 5, at + 8)}-${digits.slice(at + 8, at + 20)}`;
  };
}

import { resolve } from 'node:path';
import { lineLeaf } from './chain-check.ts';
import { ZERO_HASH } from './codec.ts';
import type { Disk } from './disk.ts';
import { layout } from './layout.ts';
import { lineChunks } from './lines.ts';
import { nodeDisk } from './node-disk.ts';
import { listSegments } from './replay.ts';
import { toBinary, toHex } from './tree.ts';
import { type VerifyResult, verifyLedger } from './verify.ts';

const PREV = '"prev":"';
const HASH_LENGTH = 64;

/**
 * The links alone: every line is hashed and held against the `prev` of the next. Quicker than the whole check, and less:
 * no tree, no signature, no form, no attachments. When a link is broken the whole check runs to name the place.
 */
export async function verifyChain(
  dir: string,
  disk: Disk = nodeDisk,
): Promise<VerifyResult | { ok: true; size: number }> {
  const root = resolve(dir);
  let tip = toBinary(ZERO_HASH);
  let size = 0;
  for (const segment of await listSegments(disk, root)) {
    for await (const { bytes } of lineChunks(disk, layout.segment(root, segment.name))) {
      // As Latin-1 every byte is one character, so offsets agree whatever the text is.
      const text = bytes.toString('latin1');
      for (let start = 0; start < bytes.length; ) {
        const end = text.indexOf('\n', start);
        const at = text.indexOf(PREV, start) + PREV.length;
        if (at > end || text.substring(at, at + HASH_LENGTH) !== toHex(tip)) return verifyLedger(dir, { disk });
        tip = lineLeaf(bytes, start, end);
        size += 1;
        start = end + 1;
      }
    }
  }
  return size === 0 ? verifyLedger(dir, { disk }) : { ok: true, size };
}

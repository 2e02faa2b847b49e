import type { Disk } from './disk.ts';

const LF = 10;
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Whole lines of a file: `bytes` ends with an LF. */
export interface LineChunk {
  bytes: Buffer;
  /** Offset of `bytes[0]` in the file. */
  offset: number;
}

/** Yields chunks of complete lines from `from` to `to` (default the end); what follows the last LF is not yielded. */
export async function* lineChunks(
  disk: Disk,
  path: string,
  from = 0,
  to = Number.MAX_SAFE_INTEGER,
  chunkBytes = CHUNK_BYTES,
): AsyncGenerator<LineChunk> {
  let offset = from;
  let want = chunkBytes;
  while (offset < to) {
    const read = await disk.read(path, offset, Math.min(to, offset + want));
    const last = read.lastIndexOf(LF);
    const atEnd = read.length < want;
    if (last === -1) {
      if (atEnd) return;
      // A line longer than the chunk: the limit of a line is far below, so a real ledger never comes here twice.
      want *= 2;
      continue;
    }
    yield { bytes: read.subarray(0, last + 1), offset };
    offset += last + 1;
    if (atEnd) return;
    want = chunkBytes;
  }
}

/** Index of the LF that ends the line starting at `start`. */
export function lineEnd(bytes: Buffer, start: number): number {
  return bytes.indexOf(LF, start);
}

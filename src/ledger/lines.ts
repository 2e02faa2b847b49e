import type { Disk } from './disk.ts';

const LF = 10;
const CHUNK_BYTES = 1024 * 1024;

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
  let reading = readAhead(disk, path, offset, Math.min(to, offset + want));
  while (offset < to) {
    const read = await reading;
    const last = read.lastIndexOf(LF);
    const atEnd = read.length < want;
    if (last === -1 && atEnd) return;
    const chunk = { bytes: read.subarray(0, last + 1), offset };
    offset += last + 1;
    // A line longer than the chunk: the limit of a line is far below, so a real ledger never comes here twice.
    want = last === -1 ? want * 2 : chunkBytes;
    // The next chunk is read while the consumer works on this one.
    if (!atEnd) reading = readAhead(disk, path, offset, Math.min(to, offset + want));
    if (last !== -1) yield chunk;
    if (atEnd) return;
  }
}

/** A read that may be abandoned: its failure is only seen by who awaits it. */
function readAhead(disk: Disk, path: string, from: number, to: number): Promise<Buffer> {
  const reading = disk.read(path, from, to);
  reading.catch(() => undefined);
  return reading;
}

/** Index of the LF that ends the line starting at `start`. */
export function lineEnd(bytes: Buffer, start: number): number {
  return bytes.indexOf(LF, start);
}

/** The first `count` complete lines, or as many as there are. */
export function firstLines(bytes: Buffer, count: number): Buffer {
  let end = 0;
  for (let line = 0; line < count; line++) {
    const found = lineEnd(bytes, end);
    if (found === -1) break;
    end = found + 1;
  }
  return bytes.subarray(0, end);
}

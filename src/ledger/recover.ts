import { hash } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { MAX_BATCH_BYTES } from './batch.ts';
import { type ChainCheck, parseRecord } from './chain-check.ts';
import { type Disk, writeFileDurably } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { layout } from './layout.ts';
import { lineEnd } from './lines.ts';
import { listSegments, type ReplayResult } from './replay.ts';

/** What is known from outside the log about how long it must be. */
export interface KnownEnd {
  /** Size of the newest checkpoint or clean end; nothing below it is ever cut. */
  floor: number;
  /** The last writer closed the ledger, so nothing can be torn. */
  clean: boolean;
}

/** The bytes to cut off: from `offset` in `file`, and every later file. Null when nothing is torn. */
export interface Cut {
  file: string;
  offset: number;
  seq: number;
}

/** One write can be torn by a crash; it holds a batch, and one append may exceed the batch limit by its own length. */
const MAX_TORN_BYTES = MAX_BATCH_BYTES + 1_024 * 65_536;

export function tamperedError(problem: { seq: number; why: string }, file: string): DavyError {
  return new DavyError(ledgerErrors.tampered, `Record ${problem.seq} in log/${file} ${problem.why}.`, {
    position: { file: `log/${file}` },
  });
}

export function truncatedError(size: number, known: number): DavyError {
  return new DavyError(
    ledgerErrors.truncated,
    `The ledger ends before record ${size}, but ${known} records were acknowledged.`,
  );
}

/**
 * Decides between the end of a write that a crash tore, which is cut, and an alteration, which is refused. A torn write
 * is the last thing in the log, was never acknowledged, and lies above every checkpoint and clean end; a complete record
 * in the wrong place, or an intact record after a damaged one without zeroed bytes, is not what a crash leaves behind.
 */
export function judgeTail(result: ReplayResult, check: ChainCheck, rest: Buffer, known: KnownEnd): Cut | null {
  const size = check.size;
  const { stop } = result;
  if (stop) {
    const alteration =
      stop.problem.wellFormed || known.clean || rest.length > MAX_TORN_BYTES || intactRecordFollows(rest);
    if (alteration || (stop.problem.seq < known.floor && rest.length > 0)) throw tamperedError(stop.problem, stop.file);
  }
  const incomplete = check.incomplete;
  if (size - incomplete < known.floor) throw truncatedError(size - incomplete, known.floor);
  if (incomplete > 0 && result.txStart) return { ...result.txStart };
  return stop ? { file: stop.file, offset: stop.offset, seq: size } : null;
}

/** Whether the damaged first line is free of zero bytes and a complete record stands behind it. */
function intactRecordFollows(rest: Buffer): boolean {
  const first = lineEnd(rest, 0);
  if (first === -1 || rest.subarray(0, first).includes(0)) return false;
  for (let start = first + 1; start < rest.length; ) {
    const end = lineEnd(rest, start);
    if (end === -1) return false;
    if (parseRecord(rest.subarray(start, end))) return true;
    start = end + 1;
  }
  return false;
}

/** Everything from the stop on, through all later files. */
export async function bytesAfter(disk: Disk, dir: string, file: string, offset: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const segment of await listSegments(disk, dir)) {
    if (segment.name < file) continue;
    const from = segment.name === file ? offset : 0;
    if (segment.bytes - from > MAX_TORN_BYTES) {
      parts.push(await disk.read(layout.segment(dir, segment.name), from, from + MAX_TORN_BYTES + 1));
      break;
    }
    parts.push(await disk.read(layout.segment(dir, segment.name), from));
  }
  return Buffer.concat(parts);
}

/** Keeps the cut bytes under torn/ by their hash, before anything is removed; returns the hash. */
export async function keepTorn(disk: Disk, dir: string, bytes: Buffer): Promise<string> {
  const sha256 = hash('sha256', bytes, 'hex');
  await disk.makeDir(layout.torn(dir));
  await writeFileDurably(disk, `${layout.torn(dir)}/${sha256}`, bytes);
  return sha256;
}

/**
 * Writes the first `bytes` of a segment to a new file and puts it in the old one's place. After an unclean stop the page
 * cache may show bytes that a failed flush never brought to the medium; a copy that was flushed itself cannot lie.
 */
export async function rewriteSegment(disk: Disk, dir: string, name: string, bytes: number): Promise<void> {
  const path = layout.segment(dir, name);
  await writeFileDurably(disk, path, await disk.read(path, 0, bytes));
}

export async function removeSegmentsAfter(disk: Disk, dir: string, name: string): Promise<void> {
  for (const segment of await listSegments(disk, dir)) {
    if (segment.name > name) await disk.remove(layout.segment(dir, segment.name));
  }
  await disk.syncDir(layout.log(dir));
}

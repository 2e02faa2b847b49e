import type { ChainCheck, ChainProblem } from './chain-check.ts';
import type { Disk } from './disk.ts';
import type { ChainRecord } from './fast-line.ts';
import { layout, segmentFirstSeq, segmentName } from './layout.ts';
import { lineChunks } from './lines.ts';
import { MARK_EVERY, type OpenSegment } from './segment-log.ts';

/** A segment as found, in order. */
export interface SegmentFile {
  name: string;
  firstSeq: number;
  bytes: number;
}

export interface ReplayStop {
  /** Where reading stopped: the first byte that is not part of an accepted record. */
  file: string;
  offset: number;
  problem: ChainProblem;
}

export interface ReplayResult {
  /** Null when every byte of every file belongs to a record. */
  stop: ReplayStop | null;
  /** Start of the append under way at the end of what was accepted, by file and offset. */
  txStart: { file: string; offset: number; seq: number } | null;
  /** Records and offsets of the last segment read. */
  last: OpenSegment;
}

/** Segments in the log folder from `fromSeq` on. A name that is no segment's is reported by `verify`, not here. */
export async function listSegments(disk: Disk, dir: string): Promise<SegmentFile[]> {
  const found: SegmentFile[] = [];
  for (const name of await disk.list(layout.log(dir))) {
    const firstSeq = segmentFirstSeq(name);
    if (firstSeq === null) continue;
    const stat = await disk.stat(layout.segment(dir, name));
    if (stat) found.push({ name, firstSeq, bytes: stat.size });
  }
  return found.sort((a, b) => a.firstSeq - b.firstSeq);
}

export interface ReplayOptions {
  segmentRecords: number;
  /** Where to begin: the end of what the check has seen (default the beginning). */
  from?: OpenSegment;
  onRecord?: (record: ChainRecord) => void;
  /** Called after each chunk with its length in bytes. */
  onChunk?: (bytes: number) => void;
}

/** Feeds the log, from where the check stands, through the check. */
export async function replay(
  disk: Disk,
  dir: string,
  check: ChainCheck,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const start = options.from ?? { firstSeq: 0, records: 0, bytes: 0, marks: [] };
  const segments = (await listSegments(disk, dir)).filter((s) => s.firstSeq >= start.firstSeq);
  const last = { ...start, marks: [...start.marks] };
  const result: ReplayResult = { stop: null, txStart: null, last };
  if (options.from && segments[0]?.firstSeq !== start.firstSeq) {
    const problem = { seq: start.firstSeq, why: 'is missing with its segment', wellFormed: true };
    return { ...result, stop: { file: segmentName(start.firstSeq), offset: 0, problem } };
  }
  for (const segment of segments) {
    if (segment.firstSeq !== start.firstSeq || start.records === 0) {
      const missing = missingBefore(segment, check.size);
      if (missing) return { ...result, stop: { file: segment.name, offset: 0, problem: missing } };
      Object.assign(last, { firstSeq: segment.firstSeq, records: 0, bytes: 0, marks: [] });
    }
    const stop = await replaySegment(disk, dir, segment, check, options, result);
    if (stop) return { ...result, stop };
  }
  return result;
}

function missingBefore(segment: SegmentFile, size: number): ChainProblem | null {
  if (segment.firstSeq === size) return null;
  return { seq: size, why: `is missing; the next segment is ${segment.name}`, wellFormed: true };
}

async function replaySegment(
  disk: Disk,
  dir: string,
  segment: SegmentFile,
  check: ChainCheck,
  options: ReplayOptions,
  result: ReplayResult,
): Promise<ReplayStop | null> {
  const { last } = result;
  const path = layout.segment(dir, segment.name);
  for await (const { bytes, offset } of lineChunks(disk, path, last.bytes)) {
    const found = check.acceptLines(bytes, (record, start) => {
      if (last.records % MARK_EVERY === 0) last.marks.push(offset + start);
      last.records += 1;
      if (record.tx[0] === 1) {
        result.txStart = { file: segment.name, offset: offset + start, seq: record.seq };
      }
      options.onRecord?.(record);
    });
    last.bytes = offset + (found ? found.at : bytes.length);
    if (found) return { file: segment.name, offset: last.bytes, problem: found.problem };
    if (last.records > options.segmentRecords) return tooLong(segment, options.segmentRecords);
    options.onChunk?.(bytes.length);
  }
  if (last.bytes === segment.bytes) return null;
  const problem = { seq: check.size, why: 'does not end in a newline', wellFormed: false };
  return { file: segment.name, offset: last.bytes, problem };
}

function tooLong(segment: SegmentFile, segmentRecords: number): ReplayStop {
  const seq = segment.firstSeq + segmentRecords;
  return {
    file: segment.name,
    offset: 0,
    problem: { seq, why: `belongs into ${segmentName(seq)}, not ${segment.name}`, wellFormed: true },
  };
}

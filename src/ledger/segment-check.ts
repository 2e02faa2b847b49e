import { createHash } from 'node:crypto';
import { type ChainBegin, ChainCheck, type ChainEnd } from './chain-check.ts';
import type { Disk } from './disk.ts';
import { isDescription } from './facts.ts';
import { lineChunks } from './lines.ts';
import type { LedgerRecord } from './record.ts';
import type { StreamColumns } from './stream-table.ts';

export interface SegmentTask {
  path: string;
  firstSeq: number;
  bytes: number;
  /** Sizes of the whole log, inside this segment, at which the tree is wanted. */
  sizes: number[];
}

/** What one segment says by itself; plain data, so that it can come from another thread. */
export interface SegmentReport {
  firstSeq: number;
  records: number;
  /** The walk met something wrong; only a walk through the whole log can name it exactly. */
  failed: boolean;
  /** Bytes after the last complete line. */
  trailingBytes: number;
  begin: ChainBegin | null;
  end: ChainEnd;
  streams: StreamColumns;
  /** Subtrees of the segment, lowest level first. */
  levels: string[];
  levelsAt: { size: number; levels: string[] }[];
  /** First record that names each attachment. */
  attachments: [sha256: string, seq: number][];
  /** Records that describe the ledger itself. */
  descriptions: LedgerRecord[];
  clockSteps: number[];
  sha256: string;
}

/** Checks one segment on its own: form, chain, places, tree, file hash. */
export async function checkSegment(
  disk: Disk,
  task: SegmentTask,
  onBytes: (bytes: number, records: number) => void = () => undefined,
): Promise<SegmentReport> {
  const check = task.firstSeq === 0 ? new ChainCheck() : ChainCheck.detachedAt(task.firstSeq);
  const digest = createHash('sha256');
  const attachments = new Map<string, number>();
  const descriptions: LedgerRecord[] = [];
  const levelsAt: SegmentReport['levelsAt'] = [];
  const wanted = new Set(task.sizes);
  let failed = false;
  let bytesRead = 0;
  for await (const { bytes } of lineChunks(disk, task.path)) {
    digest.update(bytes);
    const before = check.size;
    const found = check.acceptLines(bytes, (record) => {
      if (record.att)
        for (const { sha256 } of record.att) if (!attachments.has(sha256)) attachments.set(sha256, record.seq);
      if (isDescription(record)) descriptions.push(record);
      if (wanted.has(record.seq + 1)) levelsAt.push({ size: record.seq + 1, levels: check.frontier.toJson() });
    });
    bytesRead += bytes.length;
    onBytes(bytes.length, check.size - before);
    if (!found) continue;
    failed = true;
    break;
  }
  return {
    firstSeq: task.firstSeq,
    records: check.size - task.firstSeq,
    failed,
    trailingBytes: task.bytes - bytesRead,
    begin: check.begin,
    end: check.end,
    streams: check.streams.columns(),
    levels: check.frontier.toJson(),
    levelsAt,
    attachments: [...attachments],
    descriptions,
    clockSteps: check.clockSteps,
    sha256: digest.digest('hex'),
  };
}

import { createHash } from 'node:crypto';
import { type ChainBegin, ChainCheck, type ChainEnd } from './chain-check.ts';
import { isDescription } from './facts.ts';
import { fileLineChunks } from './file-lines.ts';
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
export function checkSegment(task: SegmentTask, onBytes: (bytes: number, records: number) => void): SegmentReport {
  const check = task.firstSeq === 0 ? new ChainCheck() : ChainCheck.detachedAt(task.firstSeq);
  const digest = createHash('sha256');
  const attachments = new Map<string, number>();
  const descriptions: LedgerRecord[] = [];
  const levelsAt: SegmentReport['levelsAt'] = [];
  const sizes = [...new Set(task.sizes)].sort((a, b) => b - a);
  let wanted = sizes.pop();
  let failed = false;
  let bytesRead = 0;
  for (const bytes of fileLineChunks(task.path)) {
    digest.update(bytes);
    const before = check.size;
    const found = check.acceptLines(bytes, (record) => {
      if (check.size === wanted) {
        levelsAt.push({ size: wanted, levels: check.frontier.toJson() });
        wanted = sizes.pop();
      }
      // Only what was parsed in full has attachments or describes the ledger.
      if (record.data === undefined) return;
      for (const { sha256 } of record.att ?? []) if (!attachments.has(sha256)) attachments.set(sha256, record.seq);
      if (isDescription(record)) descriptions.push(record);
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

import { parseTreeHead } from './checkpoint.ts';
import type { Disk } from './disk.ts';
import type { FileLedger } from './file-ledger.ts';
import { layout } from './layout.ts';
import { lineChunks, lineEnd } from './lines.ts';
import { nodeDisk } from './node-disk.ts';
import { nodesOfTiles } from './node-source.ts';
import { consistencyProof, inclusionProof } from './proof.ts';
import { listSegments } from './replay.ts';
import { toHex } from './tree.ts';

const MAX_MARKS = 1_000;

/** What somebody who trusts nobody needs to check a record: stored bytes, a signed checkpoint, and paths between them. */
export interface StoredProofs {
  /** Lines exactly as stored, read from disk anew, without their LF; a reader hashes them itself. */
  lines(fromSeq: number, limit: number): Promise<string[]>;
  /** The newest signed checkpoint, with the path of a record into it and from an older size to it (hex hashes). */
  prove(question: { seq: number | null; fromSize: number | null }): Promise<StoredProof>;
}

export interface StoredProof {
  /** C2SP signed note. */
  checkpoint: string;
  size: number;
  /** RFC 6962 section 2.1.1; null when not asked for or not in the tree yet. */
  inclusion: string[] | null;
  /** RFC 6962 section 2.1.2; null when not asked for or the old size is larger. */
  consistency: string[] | null;
}

export function openStoredProofs(ledger: Pick<FileLedger, 'dir' | 'checkpoint'>, disk: Disk = nodeDisk): StoredProofs {
  const { dir } = ledger;

  /** Where a reader that goes on will begin, so that reading a whole segment in parts does not scan it again each time. */
  const marks = new Map<number, { firstSeq: number; offset: number }>();

  function remember(seq: number, mark: { firstSeq: number; offset: number }): void {
    marks.delete(seq);
    marks.set(seq, mark);
    if (marks.size > MAX_MARKS) marks.delete(marks.keys().next().value as number);
  }

  return {
    async lines(fromSeq, limit) {
      const found: string[] = [];
      const segments = await listSegments(disk, dir);
      for (const [index, segment] of segments.entries()) {
        if ((segments[index + 1]?.firstSeq ?? Number.MAX_SAFE_INTEGER) <= fromSeq) continue;
        const known = marks.get(fromSeq);
        const mark = known?.firstSeq === segment.firstSeq ? known : { firstSeq: segment.firstSeq, offset: 0 };
        let seq = mark === known ? fromSeq : segment.firstSeq;
        for await (const { bytes, offset } of lineChunks(disk, layout.segment(dir, segment.name), mark.offset)) {
          for (let start = 0; start < bytes.length; seq++) {
            const end = lineEnd(bytes, start);
            if (seq >= fromSeq) found.push(bytes.toString('utf8', start, end));
            start = end + 1;
            if (found.length < limit) continue;
            remember(seq + 1, { firstSeq: segment.firstSeq, offset: offset + start });
            return found;
          }
        }
      }
      return found;
    },
    async prove({ seq, fromSize }) {
      const checkpoint = await ledger.checkpoint();
      const { size } = parseTreeHead(checkpoint);
      const node = nodesOfTiles(disk, dir, size);
      const includes = seq !== null && seq < size;
      const follows = fromSize !== null && fromSize <= size;
      return {
        checkpoint,
        size,
        inclusion: includes ? (await inclusionProof(node, seq, size)).map(toHex) : null,
        consistency: follows ? (await consistencyProof(node, fromSize, size)).map(toHex) : null,
      };
    },
  };
}

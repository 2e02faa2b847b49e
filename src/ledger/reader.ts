import { resolve } from 'node:path';
import { DavyError } from '../lib/error.ts';
import { decodeLine } from './codec.ts';
import type { Disk } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { layout } from './layout.ts';
import { lineChunks, lineEnd } from './lines.ts';
import { nodeDisk } from './node-disk.ts';
import type { LedgerRecord } from './record.ts';
import { listSegments } from './replay.ts';

export interface StoredRecord {
  record: LedgerRecord;
  /** The line as stored, without its LF: what was hashed. */
  line: string;
}

/** All complete records of a ledger folder, open elsewhere or not. Nothing is checked; verify first where it matters. */
export async function* readFolder(dir: string, disk: Disk = nodeDisk): AsyncGenerator<StoredRecord> {
  const root = resolve(dir);
  const segments = await listSegments(disk, root);
  if (segments.length === 0) throw new DavyError(ledgerErrors['not-a-ledger'], `${root} holds no records.`);
  for (const segment of segments) {
    for await (const { bytes } of lineChunks(disk, layout.segment(root, segment.name))) {
      for (let start = 0; start < bytes.length; ) {
        const end = lineEnd(bytes, start);
        const line = bytes.toString('utf8', start, end);
        yield { record: decodeLine(line), line };
        start = end + 1;
      }
    }
  }
}

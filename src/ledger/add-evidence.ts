import type { Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { storeAttachment } from './cas.ts';
import { ledgerErrors } from './errors.ts';
import { evidenceEvent } from './evidence.ts';
import { openFileLedger } from './file-ledger.ts';
import { layout } from './layout.ts';
import { nodeDisk } from './node-disk.ts';
import type { Attachment } from './record.ts';

export interface EvidenceFile {
  bytes: Uint8Array;
  name: string;
  type: string;
  desc: string;
  release: string | null;
}

export interface AddEvidenceOptions {
  dir: string;
  file: EvidenceFile;
  actorId: string;
  clock: Clock;
  /** Has the record written by the controller that holds the ledger open. */
  viaController: (att: Attachment, release: string | null) => Promise<{ seq: number }>;
}

/** Stores a file beside the ledger and records it: through the running controller, or directly when there is none. */
export async function addEvidence(options: AddEvidenceOptions): Promise<{ seq: number; att: Attachment }> {
  const { dir, file } = options;
  if (!(await nodeDisk.stat(layout.log(dir)))) {
    throw new DavyError(ledgerErrors['not-a-ledger'], `${dir} holds no ledger; start Davy once to make it.`);
  }
  const { bytes, name, type, desc, release } = file;
  const att = await storeAttachment(nodeDisk, dir, bytes, { name, type, desc });
  try {
    const ledger = await openFileLedger({ dir, system: 'cli', writerId: 'cli', clock: options.clock });
    const actor = { kind: 'person' as const, id: options.actorId };
    const [record] = await ledger
      .append([evidenceEvent(att, { release, kind: 'file', actor })])
      .finally(() => ledger.close());
    return { seq: record!.seq, att };
  } catch (error) {
    if (!(error instanceof DavyError) || error.kind !== ledgerErrors.locked) throw error;
    const { seq } = await options.viaController(att, release);
    return { seq, att };
  }
}

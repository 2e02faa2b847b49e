import type { Clock } from '../lib/clock.ts';
import { asWriter, requireLedger } from './as-writer.ts';
import { storeAttachment } from './cas.ts';
import { evidenceEvent } from './evidence.ts';
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
  const { dir, file, clock } = options;
  await requireLedger(dir);
  const { bytes, name, type, desc, release } = file;
  const att = await storeAttachment(nodeDisk, dir, bytes, { name, type, desc });
  const actor = { kind: 'person' as const, id: options.actorId };
  const { seq } = await asWriter({
    ...{ dir, clock },
    direct: async (ledger) => {
      const [record] = await ledger.append([evidenceEvent(att, { release, kind: 'file', actor })]);
      return { seq: record!.seq };
    },
    viaController: () => options.viaController(att, release),
  });
  return { seq, att };
}

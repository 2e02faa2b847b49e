import { addEvidence } from '../ledger/add-evidence.ts';
import type { Json } from '../ledger/record.ts';
import { Scrubber } from '../ledger/scrub.ts';
import { scrubbedBytes } from '../ledger/scrubbed.ts';
import { findEndpoint } from '../lib/endpoint.ts';
import { actorName, connect } from './api-client.ts';
import { ledgerDir, type Place } from './evidence-place.ts';
import type { CliIo } from './io.ts';

export interface ArchivedFile {
  name: string;
  type: string;
  desc: string;
  content: string;
  /** `load`, `report`, `verification` … */
  kind: string;
}

/** Keeps a result in the ledger: the file beside it, without what is secret, and its SHA-256 in a record. */
export async function archive(
  io: CliIo,
  place: Place & { url?: string },
  file: ArchivedFile,
): Promise<{ seq: number; sha256: string }> {
  const { content, kind, ...meta } = file;
  // The ledger of the Davy that was spoken to, not one that happens to lie in this folder.
  const running = findEndpoint(place.port, io.env);
  const data = place.data ?? running?.dataDir;
  const scrubber = new Scrubber(running ? [running.token] : []);
  const parsed = meta.type === 'application/json' ? (JSON.parse(content) as Json) : content;
  const { seq, att } = await addEvidence({
    dir: ledgerDir(io, data === undefined ? place : { ...place, data }),
    file: { ...meta, bytes: scrubbedBytes(parsed, scrubber), release: null },
    actorId: actorName(io),
    clock: io.clock,
    viaController: (stored, release) => connect(place, io).post('/api/v1/evidence', { att: stored, release, kind }),
  });
  return { seq, sha256: att.sha256 };
}

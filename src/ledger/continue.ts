import { dirname, resolve } from 'node:path';
import { DavyError } from '../lib/error.ts';
import { ChainCheck } from './chain-check.ts';
import { parseTreeHead } from './checkpoint.ts';
import { ledgerErrors } from './errors.ts';
import { factsOf, LEDGER_STREAM } from './facts.ts';
import { type FileLedgerOptions, openFileLedger } from './file-ledger.ts';
import { layout, SEGMENT_RECORDS } from './layout.ts';
import { nodeDisk } from './node-disk.ts';
import { parseNote } from './note.ts';
import { readFirstRecord } from './open-log.ts';
import type { Actor } from './record.ts';
import { replay } from './replay.ts';

const CONTINUED = 'ledger.continued';

export interface ContinueOptions extends FileLedgerOptions {
  acceptLoss: boolean;
  reason: string;
  actor: Actor;
}

export interface Continued {
  origin: string;
  parentOrigin: string;
  /** Records of the old ledger that are left and intact. */
  keptRecords: number;
  /** Records that its checkpoint covers but that are gone. */
  lostRecords: number;
  /** Where the old ledger lies now. */
  oldDir: string;
}

/**
 * Starts a new ledger in the place of one that has lost records. The old one is kept beside it, untouched; the new one
 * has an origin of its own, names what is left of the old one (size and root) in record 0, and says what was lost and
 * who accepted it. A shortened ledger is never continued under its own name: it could not be told from a rollback.
 */
export async function continueLedger(options: ContinueOptions): Promise<Continued> {
  const disk = options.disk ?? nodeDisk;
  const dir = resolve(options.dir);
  if (!options.acceptLoss) throw new DavyError(ledgerErrors['loss-not-accepted'], `${dir} was left as it is.`);
  const first = await readFirstRecord(disk, dir);
  if (!first) throw new DavyError(ledgerErrors['not-a-ledger'], `${dir} has no record 0 to continue from.`);
  const parentOrigin = factsOf(first).origin;
  const check = new ChainCheck();
  await replay(disk, dir, check, { segmentRecords: SEGMENT_RECORDS });
  const kept = check.size;
  const checkpoint =
    (await disk.stat(layout.checkpoint(dir))) && (await disk.read(layout.checkpoint(dir))).toString('utf8');
  const covered = checkpoint ? parseTreeHead(parseNote(checkpoint).text).size : kept;
  const oldDir = `${dir}.lost-${new Date(options.clock.nowMs()).toISOString().replace(/[-:.]/g, '')}`;
  await disk.rename(dir, oldDir);
  await disk.syncDir(dirname(dir));
  const parent = { origin: parentOrigin, size: kept, root: check.frontier.rootHex() };
  const ledger = await openFileLedger({ ...options, parent });
  const lostRecords = Math.max(0, covered - kept);
  const data = { parent: { ...parent }, lost_from: kept, lost_records: lostRecords, reason: options.reason };
  await ledger.append([{ type: CONTINUED, stream: LEDGER_STREAM, actor: options.actor, data }]);
  await ledger.close();
  return { origin: ledger.origin, parentOrigin, keptRecords: kept, lostRecords, oldDir };
}

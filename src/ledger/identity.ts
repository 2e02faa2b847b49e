import { dirname } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import type { Disk } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import type { LedgerFacts, ParentLedger } from './facts.ts';
import { createUuidV7 } from './ids.ts';
import { ED25519_NOTE, isKeyName, loadOrCreateSigner, type NoteSigner, verifierKeyText } from './keys.ts';
import { SEGMENT_RECORDS } from './layout.ts';

/** What a new ledger is to say about itself. */
interface IdentityOptions {
  system: string;
  clock: Clock;
  newId?: () => string;
  segmentRecords?: number;
  witnessPolicy?: string;
  parent?: ParentLedger;
}

/** The ledger's own description and the key that it names. */
export async function identify(
  disk: Disk,
  keyFile: string,
  known: LedgerFacts | null,
  options: IdentityOptions,
): Promise<{ facts: LedgerFacts; signer: NoteSigner }> {
  if (!known) return describeNew(disk, keyFile, options);
  if (!(await disk.stat(keyFile))) {
    throw new DavyError(
      ledgerErrors['bad-key'],
      `The signing key ${keyFile} of the ledger ${known.origin} is missing.`,
    );
  }
  await finishRotation(disk, keyFile, known);
  const signer = await loadOrCreateSigner(disk, keyFile, known.origin, ED25519_NOTE);
  if (verifierKeyText(signer) !== known.keys.at(-1)!.vkey) {
    throw new DavyError(ledgerErrors['bad-key'], `The key in ${keyFile} is not the one that the ledger names.`);
  }
  return { facts: known, signer };
}

/** A crash may have come between the record of a rotation and the new key's taking the old one's place. */
async function finishRotation(disk: Disk, keyFile: string, known: LedgerFacts): Promise<void> {
  const next = `${keyFile}.next`;
  if (!(await disk.stat(next))) return;
  const signer = await loadOrCreateSigner(disk, next, known.origin, ED25519_NOTE);
  if (verifierKeyText(signer) === known.keys.at(-1)!.vkey) await disk.rename(next, keyFile);
  else await disk.remove(next);
  await disk.syncDir(dirname(keyFile));
}

async function describeNew(
  disk: Disk,
  keyFile: string,
  options: IdentityOptions,
): Promise<{ facts: LedgerFacts; signer: NoteSigner }> {
  const newId = options.newId ?? createUuidV7(() => options.clock.nowMs());
  const origin = `davy/${options.system}/${newId().replaceAll('-', '').slice(-8)}`;
  if (!isKeyName(origin)) {
    throw new DavyError(ledgerErrors['bad-event'], `The system name "${options.system}" cannot name a ledger.`);
  }
  const signer = await loadOrCreateSigner(disk, keyFile, origin, ED25519_NOTE);
  const facts: LedgerFacts = {
    origin,
    segmentRecords: options.segmentRecords ?? SEGMENT_RECORDS,
    keys: [{ vkey: verifierKeyText(signer), fromSize: 0 }],
    witnessPolicy: options.witnessPolicy ?? '',
    parent: options.parent ?? null,
  };
  return { facts, signer };
}

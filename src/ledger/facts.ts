import { sign, verify } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { openCheckpoint, parseTreeHead, type TreeHead } from './checkpoint.ts';
import { ledgerErrors } from './errors.ts';
import type { ChainRecord } from './fast-line.ts';
import { type NoteSigner, parseVerifierKey, verifierKeyText } from './keys.ts';
import { isSignedBy, type Note, parseNote } from './note.ts';
import type { JsonObject, LedgerRecord } from './record.ts';

const FORMAT_VERSION = 1;
const TILE_HEIGHT = 8;

export const OPENED = 'ledger.opened';
export const KEY_ROTATED = 'ledger.key-rotated';
/** The witnesses that are to watch from here on, when they are not those of record 0 any more. */
export const WITNESSES_DECLARED = 'ledger.witnesses-declared';
export const RECOVERED = 'ledger.recovered';
/** A checkpoint was cosigned or timestamped outside: later records did not exist before. */
export const ANCHORED = 'ledger.anchored';
export const ANCHOR_FAILED = 'ledger.anchor.failed';
export const ANCHOR_RECOVERED = 'ledger.anchor.recovered';
export const LEDGER_STREAM = 'ledger';

/** The ledger that this one continues, when records of it were lost. */
export interface ParentLedger {
  origin: string;
  size: number;
  root: string;
}

/** A key of the ledger and the smallest checkpoint size it may sign. */
export interface KeySpan {
  vkey: string;
  fromSize: number;
}

/** What the ledger says about itself: record 0, the key rotations and the witnesses declared since. */
export interface LedgerFacts {
  origin: string;
  segmentRecords: number;
  keys: KeySpan[];
  /** C2SP tlog-policy text as it was declared last; empty when no witness ever was. */
  witnessPolicy: string;
  parent: ParentLedger | null;
}

export function openedData(facts: LedgerFacts): JsonObject {
  const data: JsonObject = {
    origin: facts.origin,
    vkey: facts.keys[0]!.vkey,
    format: FORMAT_VERSION,
    tileHeight: TILE_HEIGHT,
    segmentRecords: facts.segmentRecords,
    witnessPolicy: facts.witnessPolicy,
  };
  if (facts.parent) data.parent = { ...facts.parent };
  return data;
}

const DESCRIPTIONS = new Set([OPENED, KEY_ROTATED, WITNESSES_DECLARED, ANCHORED]);

/** Whether a record describes the ledger itself; such a record is always parsed in full. */
export function isDescription(record: ChainRecord): record is LedgerRecord {
  return DESCRIPTIONS.has(record.type);
}

/** Reads record 0; throws `ledger/unknown-format` when it is no description of a ledger this program knows. */
export function factsOf(record: LedgerRecord): LedgerFacts {
  const { data } = record;
  const refuse = (why: string): never => {
    throw new DavyError(ledgerErrors['unknown-format'], `Record 0 ${why}.`, { position: { file: 'log' } });
  };
  if (record.type !== OPENED || record.seq !== 0) return refuse(`is "${record.type}", not "${OPENED}"`);
  if (data.format !== FORMAT_VERSION)
    return refuse(`has format ${JSON.stringify(data.format)}, known is ${FORMAT_VERSION}`);
  const { origin, vkey, segmentRecords, witnessPolicy } = data;
  if (typeof origin !== 'string' || typeof vkey !== 'string') return refuse('names no origin or no key');
  if (typeof segmentRecords !== 'number' || !isPowerOfTwo(segmentRecords)) return refuse('has no valid segment size');
  const parent = (data.parent ?? null) as unknown as ParentLedger | null;
  return {
    origin,
    segmentRecords,
    keys: [{ vkey, fromSize: 0 }],
    witnessPolicy: typeof witnessPolicy === 'string' ? witnessPolicy : '',
    parent,
  };
}

function rotationText(origin: string, vkey: string): Buffer {
  return Buffer.from(`davy key rotation\n${origin}\n${vkey}\n`);
}

/** The record by which the old key hands over to the new one; checkpoints that cover it are signed with the new. */
export function rotationData(origin: string, old: NoteSigner, vkey: string, reason: string): JsonObject {
  const signature = sign(null, rotationText(origin, vkey), old.privateKey);
  return { vkey, old_vkey: verifierKeyText(old), signature: signature.toString('base64'), reason };
}

/** Follows a change of witnesses or of the key; throws `ledger/bad-key` when the old key did not sign its successor. */
export function applyFacts(facts: LedgerFacts, record: LedgerRecord): void {
  const { witnessPolicy } = record.data;
  if (record.type === WITNESSES_DECLARED && typeof witnessPolicy === 'string') facts.witnessPolicy = witnessPolicy;
  if (record.type !== KEY_ROTATED) return;
  const { vkey, signature } = record.data;
  const old = parseVerifierKey(facts.keys.at(-1)!.vkey);
  const isSigned =
    typeof vkey === 'string' &&
    typeof signature === 'string' &&
    verify(null, rotationText(facts.origin, vkey), old.publicKey, Buffer.from(signature, 'base64'));
  if (!isSigned) {
    throw new DavyError(
      ledgerErrors['bad-key'],
      `Record ${record.seq} rotates the key without a signature of the old one.`,
    );
  }
  facts.keys.push({ vkey, fromSize: record.seq + 1 });
}

/**
 * Opens a checkpoint with the key that was valid at its size. A signature of another of the ledger's keys is
 * `ledger/key-out-of-range`: an old key must not sign new history, nor a new key old history. A signature of a key that
 * no record names is `ledger/unknown-key`.
 */
export function openLedgerCheckpoint(note: string, facts: LedgerFacts): TreeHead {
  const { size } = parseTreeHead(parseNote(note).text);
  const valid = keyAt(facts, size);
  const parsed = parseNote(note);
  const stranger = facts.keys.find(({ vkey }) => vkey !== valid && isSignedBy(parsed, parseVerifierKey(vkey)));
  if (stranger && !isSignedBy(parsed, parseVerifierKey(valid))) {
    throw new DavyError(
      ledgerErrors['key-out-of-range'],
      `The checkpoint of ${size} records is signed with a key of this ledger that was not valid at that size.`,
    );
  }
  const verifier = parseVerifierKey(valid);
  if (!isSignedBy(parsed, verifier) && isBySomebodyElse(parsed, verifier.name, facts)) {
    throw new DavyError(
      ledgerErrors['unknown-key'],
      `The checkpoint of ${size} records is signed in the name of ${verifier.name}, but with no key that its records name.`,
    );
  }
  return openCheckpoint(note, verifier);
}

/** Signed in the ledger's name, and every such signature by a key that is none of its. */
function isBySomebodyElse({ signatures }: Note, name: string, { keys }: LedgerFacts): boolean {
  const known = new Set(keys.map(({ vkey }) => parseVerifierKey(vkey).keyId));
  const own = signatures.filter((signature) => signature.name === name);
  return own.length > 0 && own.every(({ keyId }) => !known.has(keyId));
}

/** The key that must have signed a checkpoint of this size. */
export function keyAt(facts: LedgerFacts, size: number): string {
  return facts.keys.findLast((span) => span.fromSize <= size)!.vkey;
}

function isPowerOfTwo(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 2 && value <= 65_536 && (value & (value - 1)) === 0;
}

import { sign, verify } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { ledgerErrors } from './errors.ts';
import { isKeyName, type NoteSigner, type NoteVerifier } from './keys.ts';

/** A C2SP signed note: text that ends in a newline, a blank line, then one line per signature. */
export interface NoteSignature {
  name: string;
  /** Hex of the first 4 bytes of the decoded signature. */
  keyId: string;
  /** What follows the key id. */
  bytes: Buffer;
}

export interface Note {
  text: string;
  signatures: NoteSignature[];
}

const MAX_NOTE_BYTES = 1_000_000;
const MAX_SIGNATURES = 100;

function refuse(why: string): never {
  throw new DavyError(ledgerErrors['bad-checkpoint'], `The signed note ${why}.`);
}

function parseSignatureLine(line: string): NoteSignature {
  const parts = /^\u2014 (\S+) (\S+)$/u.exec(line);
  const [, name = '', encoded = ''] = parts ?? [];
  const raw = Buffer.from(encoded, 'base64');
  if (!parts || !isKeyName(name) || raw.length < 5 || raw.toString('base64') !== encoded) {
    return refuse(`has a malformed signature line "${line.slice(0, 80)}"`);
  }
  return { name, keyId: raw.subarray(0, 4).toString('hex'), bytes: raw.subarray(4) };
}

/** Throws `ledger/bad-checkpoint` when the text is no signed note. Signatures are not checked here. */
export function parseNote(note: string): Note {
  if (note.length > MAX_NOTE_BYTES) return refuse('is longer than 1 MB');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the format forbids exactly these
  if (!note.isWellFormed() || /[\u0000-\u0009\u000b-\u001f]/.test(note)) return refuse('holds control characters');
  const split = note.lastIndexOf('\n\n');
  if (split === -1 || !note.endsWith('\n')) return refuse('has no signature block');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) return refuse(`has more than ${MAX_SIGNATURES} signatures`);
  return { text: note.slice(0, split + 1), signatures: lines.map(parseSignatureLine) };
}

export function signatureLine(name: string, keyId: string, signature: Uint8Array): string {
  return `\u2014 ${name} ${Buffer.concat([Buffer.from(keyId, 'hex'), signature]).toString('base64')}\n`;
}

/** Signs `text` (which must end in a newline) with a plain Ed25519 note signature. */
export function signNote(text: string, signer: NoteSigner): string {
  return `${text}\n${signatureLine(signer.name, signer.keyId, sign(null, Buffer.from(text), signer.privateKey))}`;
}

/** The signatures of `verifier`'s key on the note; name and id must both match. */
export function signaturesBy(note: Note, verifier: NoteVerifier): NoteSignature[] {
  return note.signatures.filter((s) => s.name === verifier.name && s.keyId === verifier.keyId);
}

/** Whether the note carries a valid Ed25519 signature of this key. */
export function isSignedBy(note: Note, verifier: NoteVerifier): boolean {
  const found = signaturesBy(note, verifier);
  return found.length > 0 && found.every((s) => verify(null, Buffer.from(note.text), verifier.publicKey, s.bytes));
}

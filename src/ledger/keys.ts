import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { dirname } from 'node:path';
import { DavyError, messageOf } from '../lib/error.ts';
import { type Disk, writeFileDurably } from './disk.ts';
import { ledgerErrors } from './errors.ts';

/** C2SP signed-note algorithm bytes: 0x01 Ed25519 note signature, 0x04 timestamped Ed25519 cosignature. */
export const ED25519_NOTE = 0x01;
export const ED25519_COSIGNATURE = 0x04;

const SPKI_ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** A name and public key that signatures on notes are checked with. */
export interface NoteVerifier {
  name: string;
  algorithm: number;
  /** First 4 bytes of SHA-256(name || 0x0A || algorithm || public key), hex. */
  keyId: string;
  publicKey: KeyObject;
}

export interface NoteSigner extends NoteVerifier {
  privateKey: KeyObject;
}

export function rawPublicKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI_ED25519_PREFIX.length);
}

function publicKeyOfRaw(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_ED25519_PREFIX, raw]), format: 'der', type: 'spki' });
}

export function keyIdOf(name: string, algorithm: number, raw: Uint8Array): string {
  const digest = createHash('sha256').update(`${name}\n`).update(Uint8Array.of(algorithm)).update(raw).digest();
  return digest.subarray(0, 4).toString('hex');
}

/** `<name>+<key id>+<base64(algorithm || public key)>`, C2SP signed-note. */
export function verifierKeyText(verifier: NoteVerifier): string {
  const body = Buffer.concat([Buffer.from([verifier.algorithm]), rawPublicKey(verifier.publicKey)]);
  return `${verifier.name}+${verifier.keyId}+${body.toString('base64')}`;
}

export function publicKeyPem(verifier: NoteVerifier): string {
  return verifier.publicKey.export({ format: 'pem', type: 'spki' }).toString();
}

/** Names on notes must not be empty nor hold white space or a plus sign (C2SP signed-note). */
export function isKeyName(name: string): boolean {
  return name.length > 0 && name.length <= 200 && name.isWellFormed() && !/[\s+\p{C}]/u.test(name);
}

/** Parses a verifier key; throws `ledger/bad-key`. */
export function parseVerifierKey(text: string): NoteVerifier {
  const refuse = (why: string): never => {
    throw new DavyError(ledgerErrors['bad-key'], `The verifier key "${text.slice(0, 120)}" ${why}.`);
  };
  const parts = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text.trim());
  if (!parts) return refuse('is not <name>+<8 hex digits>+<base64>');
  const [, name = '', keyId = '', encoded = ''] = parts;
  const body = Buffer.from(encoded, 'base64');
  const algorithm = body[0] ?? 0;
  if (!isKeyName(name)) return refuse('has a name with white space');
  if (body.toString('base64') !== encoded) return refuse('is not canonical base64');
  if (algorithm !== ED25519_NOTE && algorithm !== ED25519_COSIGNATURE) return refuse('has an unknown algorithm');
  if (body.length !== 33) return refuse('is not an Ed25519 key');
  if (keyIdOf(name, algorithm, body.subarray(1)) !== keyId) return refuse('has an id that is not that of its key');
  return { name, algorithm, keyId, publicKey: publicKeyOfRaw(body.subarray(1)) };
}

function signerOf(name: string, algorithm: number, privateKey: KeyObject): NoteSigner {
  const publicKey = createPublicKey(privateKey);
  return { name, algorithm, keyId: keyIdOf(name, algorithm, rawPublicKey(publicKey)), publicKey, privateKey };
}

/**
 * The signing key in `path`, made on first use. The file is readable by its owner only and lies outside the ledger, so
 * that a copy of the ledger never carries the power to sign for it. Who steals it can sign a different history from
 * then on; what a witness has seen before stays provable.
 */
export async function loadOrCreateSigner(
  disk: Disk,
  path: string,
  name: string,
  algorithm: number,
): Promise<NoteSigner> {
  const stat = await disk.stat(path);
  if (!stat) {
    const { privateKey } = generateKeyPairSync('ed25519');
    const pem = privateKey.export({ format: 'pem', type: 'pkcs8' });
    await writeFileDurably(disk, path, Buffer.from(pem), 0o600);
    return signerOf(name, algorithm, privateKey);
  }
  if (stat.kind !== 'file') throw new DavyError(ledgerErrors['bad-key'], `${path} is a ${stat.kind}, not a file.`);
  if (process.platform !== 'win32' && (stat.mode & 0o077) !== 0) {
    throw new DavyError(ledgerErrors['bad-key'], `${path} has mode ${stat.mode.toString(8)}: other users can read it.`);
  }
  // A crash may have come between the file's birth and the flush of its name.
  await disk.syncDir(dirname(path));
  try {
    const privateKey = createPrivateKey(await disk.read(path));
    if (privateKey.asymmetricKeyType !== 'ed25519') throw new Error('it is not an Ed25519 key');
    return signerOf(name, algorithm, privateKey);
  } catch (error) {
    throw new DavyError(ledgerErrors['bad-key'], `${path} cannot be read as a private key: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

import { sign, verify } from 'node:crypto';
import type { NoteSigner, NoteVerifier } from './keys.ts';
import { type Note, signatureLine, signaturesBy } from './note.ts';

const TIMESTAMP_BYTES = 8;

function cosignedMessage(text: string, timeSec: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${timeSec}\n${text}`);
}

/** A C2SP tlog-cosignature line (Ed25519, algorithm byte 0x04) on a checkpoint's text. `timeSec`: seconds since the epoch. */
export function cosign(text: string, signer: NoteSigner, timeSec: number): string {
  const time = Buffer.alloc(TIMESTAMP_BYTES);
  time.writeBigUInt64BE(BigInt(timeSec));
  const signature = sign(null, cosignedMessage(text, timeSec), signer.privateKey);
  return signatureLine(signer.name, signer.keyId, Buffer.concat([time, signature]));
}

/** When this witness cosigned the note (seconds since the epoch), or null when it did not. */
export function cosignedAt(note: Note, verifier: NoteVerifier): number | null {
  let newest: number | null = null;
  for (const { bytes } of signaturesBy(note, verifier)) {
    if (bytes.length !== TIMESTAMP_BYTES + 64) continue;
    const timeSec = Number(bytes.readBigUInt64BE(0));
    if (!Number.isSafeInteger(timeSec)) continue;
    const message = cosignedMessage(note.text, timeSec);
    if (!verify(null, message, verifier.publicKey, bytes.subarray(TIMESTAMP_BYTES))) continue;
    newest = Math.max(newest ?? 0, timeSec);
  }
  return newest;
}

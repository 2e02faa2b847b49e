import { createHash, hash } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import { checkAttachmentName } from './codec.ts';
import { appendAll, type Disk } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { layout } from './layout.ts';
import type { Attachment } from './record.ts';

/** Attachments are evidence, not backups. */
const MAX_ATTACHMENT_BYTES = 256 * 1024 * 1024;

export function casPath(dir: string, sha256: string): string {
  return `${layout.cas(dir)}/${sha256.slice(0, 2)}/${sha256}`;
}

export interface AttachmentMeta {
  /** MIME type. */
  type: string;
  /** A plain file name: no path, no control characters. */
  name: string;
  desc: string;
}

/**
 * Stores the bytes under their SHA-256. Durable, names included, before it resolves: only then may a record name the
 * hash, so a record never points at nothing whatever crashes when.
 */
export async function storeAttachment(
  disk: Disk,
  dir: string,
  bytes: Uint8Array,
  meta: AttachmentMeta,
): Promise<Attachment> {
  const name = checkAttachmentName(meta.name);
  if (bytes.length > MAX_ATTACHMENT_BYTES) {
    throw new DavyError(
      ledgerErrors['attachment-too-large'],
      `${name} has ${bytes.length} bytes; an attachment has at most ${MAX_ATTACHMENT_BYTES}.`,
    );
  }
  const sha256 = hash('sha256', bytes, 'hex');
  const path = casPath(dir, sha256);
  const folder = path.slice(0, path.lastIndexOf('/'));
  await disk.makeDir(folder);
  if (!(await holds(disk, path, sha256))) await writeContent(disk, path, bytes);
  await disk.syncDir(folder);
  await disk.syncDir(layout.cas(dir));
  await disk.syncDir(dir);
  return { sha256, size: bytes.length, type: meta.type, name, desc: meta.desc };
}

async function holds(disk: Disk, path: string, sha256: string): Promise<boolean> {
  const stat = await disk.stat(path);
  if (!stat) return false;
  if (stat.kind !== 'file') throw strangeEntry(path, stat.kind);
  return hash('sha256', await disk.read(path), 'hex') === sha256;
}

async function writeContent(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.tmp`;
  await disk.remove(temporary);
  const file = await disk.open(temporary, true);
  try {
    appendAll(file, bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.chmod(temporary, 0o444);
  await disk.rename(temporary, path);
}

function strangeEntry(path: string, kind: string): DavyError {
  return new DavyError(ledgerErrors['strange-entry'], `${path} is a ${kind}, not a file; it could show anything.`);
}

/** Reads an attachment and holds it against its name; throws `ledger/attachment-altered` or `ledger/strange-entry`. */
export async function readAttachment(disk: Disk, dir: string, sha256: string): Promise<Buffer> {
  const path = casPath(dir, sha256);
  const problem = await attachmentProblem(disk, dir, sha256);
  if (problem)
    throw new DavyError(ledgerErrors['attachment-altered'], `cas/${sha256.slice(0, 2)}/${sha256} ${problem}.`);
  return disk.read(path);
}

const CHUNK_BYTES = 4 * 1024 * 1024;

/** Why the attachment is not what its name says, or null. A symlink is never followed. */
export async function attachmentProblem(disk: Disk, dir: string, sha256: string): Promise<string | null> {
  const path = casPath(dir, sha256);
  const stat = await disk.stat(path);
  if (!stat) return 'is missing';
  if (stat.kind !== 'file') return `is a ${stat.kind}, not a file`;
  const digest = createHash('sha256');
  for (let offset = 0; offset < stat.size; offset += CHUNK_BYTES) {
    digest.update(await disk.read(path, offset, offset + CHUNK_BYTES));
  }
  return digest.digest('hex') === sha256 ? null : 'does not have the SHA-256 of its name';
}

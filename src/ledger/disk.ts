import { dirname } from 'node:path';

/** A file open for appending. `append` and `size` are calls into the page cache and return at once. */
export interface DiskFile {
  /** Appends at the end of the file; returns how many bytes were taken, which may be fewer than given. */
  append(bytes: Uint8Array): number;
  /** Resolves when data and length are on the medium. A rejection is final: the pages may be lost although a retry succeeds. */
  datasync(): Promise<void>;
  size(): number;
  truncate(bytes: number): Promise<void>;
  close(): Promise<void>;
}

export type FileKind = 'file' | 'dir' | 'symlink' | 'other';

/**
 * All that the ledger asks of a file system, so that tests can put faults and crashes at every step. Errors are Node's
 * (`code` ENOSPC, EIO, …). Nothing is durable until `datasync`, `sync` or, for names, `syncDir` of the folder.
 */
export interface Disk {
  makeDir(path: string): Promise<void>;
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(path: string): Promise<string[]>;
  /** Does not follow a symlink; null when nothing is there. */
  stat(path: string): Promise<{ kind: FileKind; size: number; mode: number } | null>;
  existsNow(path: string): boolean;
  /** Bytes from `from` (default 0) to `to` (default the end); shorter at the end of the file. */
  read(path: string, from?: number, to?: number): Promise<Buffer>;
  /** Opens for appending; `exclusive` fails with EEXIST when the file is there. */
  open(path: string, exclusive?: boolean): Promise<DiskFile>;
  rename(from: string, to: string): Promise<void>;
  /** Fails with EEXIST when `to` is there: the atomic claim of a name. */
  link(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  syncDir(path: string): Promise<void>;
  /** Takes the single-writer lock of a ledger folder; rejects with `ledger/locked`. Returns the release. */
  lock(dir: string): Promise<() => Promise<void>>;
}

export function errorCode(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
}

export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** Appends all of `bytes`; a disk that takes nothing at all counts as full. */
export function appendAll(file: DiskFile, bytes: Uint8Array): void {
  let done = 0;
  while (done < bytes.length) {
    const taken = file.append(done === 0 ? bytes : bytes.subarray(done));
    if (taken <= 0) throw Object.assign(new Error('ENOSPC: the disk took no bytes'), { code: 'ENOSPC' });
    done += taken;
  }
}

/** Replaces or creates a file so that after a crash it has either the old bytes or the new ones, never a mixture. */
export async function writeFileDurably(disk: Disk, path: string, bytes: Uint8Array, mode?: number): Promise<void> {
  const temporary = `${path}.tmp`;
  await disk.remove(temporary);
  const file = await disk.open(temporary, true);
  try {
    if (mode !== undefined) await disk.chmod(temporary, mode);
    appendAll(file, bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDir(dirname(path));
}

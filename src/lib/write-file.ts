import { renameSync, writeFileSync } from 'node:fs';

/** Readers see the old content or the new one, never half of it. Not fsynced: for files that can be made again. */
export function writeFileAtomic(path: string, content: string, mode = 0o600): void {
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, content, { mode });
  renameSync(temporary, path);
}

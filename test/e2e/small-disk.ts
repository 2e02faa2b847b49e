import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A small file system of its own needs root and the right to mount. */
export function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const folder = mkdtempSync(join(tmpdir(), 'davy-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    execFileSync('umount', [folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export interface SmallDisk {
  folder: string;
  /** Leaves no free byte. */
  fill(): void;
  /** Takes back what `fill` wrote. */
  empty(): void;
  remove(): void;
}

/** A disk of 80 MB: room for the ledger's reserve and little else. */
export function smallDisk(): SmallDisk {
  const parent = mkdtempSync(join(tmpdir(), 'davy-full-'));
  const folder = join(parent, 'disk');
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=80m', 'tmpfs', folder]);
  return {
    folder,
    fill: () => fill(folder),
    empty() {
      for (const name of readdirSync(folder)) if (name.startsWith('filler-')) rmSync(join(folder, name));
    },
    remove() {
      execFileSync('umount', ['-l', folder]);
      rmSync(parent, { recursive: true, force: true });
    },
  };
}

function fill(folder: string): void {
  const chunk = Buffer.alloc(1024 * 1024);
  for (let part = 0; ; part++) {
    try {
      writeFileSync(join(folder, `filler-${part}`), chunk);
    } catch {
      return;
    }
  }
}

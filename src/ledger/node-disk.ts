import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Disk, DiskFile, FileKind } from './disk.ts';
import { errorCode } from './disk.ts';
import { lockFolder } from './lock.ts';

class NodeFile implements DiskFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  append(bytes: Uint8Array): number {
    return fs.writeSync(this.#fd, bytes);
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.fdatasync(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }

  size(): number {
    return fs.fstatSync(this.#fd).size;
  }

  truncate(bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.ftruncate(this.#fd, bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      fs.close(this.#fd, (error) => (error ? reject(error) : resolve()));
    });
  }
}

function kindOf(stats: fs.Stats): FileKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'dir';
  return stats.isSymbolicLink() ? 'symlink' : 'other';
}

async function orWhenMissing<T>(promise: Promise<T>, fallback: T): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return fallback;
    throw error;
  }
}

async function readRange(path: string, from: number, to: number | undefined): Promise<Buffer> {
  const handle = await fsp.open(path, 'r');
  try {
    const end = to ?? (await handle.stat()).size;
    const bytes = Buffer.allocUnsafe(Math.max(0, end - from));
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, from + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done === bytes.length ? bytes : bytes.subarray(0, done);
  } finally {
    await handle.close();
  }
}

/** The machine's own file system. */
export const nodeDisk: Disk = {
  async makeDir(path) {
    await fsp.mkdir(path, { recursive: true });
  },
  list: async (path) => (await orWhenMissing(fsp.readdir(path), [])).sort(),
  async stat(path) {
    const stats = await orWhenMissing<fs.Stats | null>(fsp.lstat(path), null);
    return stats && { kind: kindOf(stats), size: stats.size, mode: stats.mode & 0o777 };
  },
  existsNow: (path) => fs.existsSync(path),
  read: (path, from = 0, to) => readRange(path, from, to),
  open: async (path, exclusive = false) =>
    new NodeFile(
      await new Promise<number>((resolve, reject) => {
        fs.open(path, exclusive ? 'ax' : 'a', 0o644, (error, fd) => (error ? reject(error) : resolve(fd)));
      }),
    ),
  rename: (from, to) => fsp.rename(from, to),
  link: (from, to) => fsp.link(from, to),
  remove: (path) => fsp.rm(path, { force: true }),
  chmod: (path, mode) => fsp.chmod(path, mode),
  async syncDir(path) {
    const handle = await fsp.open(path, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  async lock(dir) {
    await fsp.mkdir(dirname(dir), { recursive: true });
    return lockFolder(dir);
  },
};

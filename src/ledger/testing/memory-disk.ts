import { dirname } from 'node:path';
import { DavyError } from '../../lib/error.ts';
import type { Disk, DiskFile } from '../disk.ts';
import { ledgerErrors } from '../errors.ts';

/** Thrown by every call after the simulated process has died. */
class CrashError extends Error {
  constructor() {
    super('the process is dead');
    this.name = 'CrashError';
  }
}

/** What happens at one call to the disk. `-after` kinds do the work first: failed, but done. */
export type DiskFault = 'crash' | 'crash-after' | 'eio' | 'eio-after' | 'enospc' | 'short';

export interface DiskCall {
  op: 'append' | 'datasync' | 'truncate' | 'open' | 'rename' | 'link' | 'remove' | 'chmod' | 'syncDir' | 'read';
  path: string;
  /** Number of the call since the disk was made, from 0. */
  index: number;
}

interface Inode {
  mode: number;
  /** What the page cache shows. */
  cached: Buffer;
  /** What the medium holds. */
  durable: Buffer;
  /** Bytes from here to `lostTo` were dropped by a failed flush: cached, but never written by a later flush. */
  lostFrom: number;
  lostTo: number;
}

type NameChange = { path: string; inode: Inode | null };

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

/**
 * A disk in memory with the honest failure model of a POSIX file system: bytes survive a crash of the machine only after
 * `datasync`, names only after `syncDir`, a failed flush loses its pages although a retry reports success, and a torn
 * write may leave a prefix, zeroed sectors or nothing.
 */
export class MemoryDisk implements Disk {
  /** Asked at every call that may fail. */
  fault: (call: DiskCall) => DiskFault | undefined = () => undefined;
  /** Bytes that all files together may hold. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Turns of the microtask queue that a flush takes, so that others can work meanwhile. */
  flushTurns: () => number = () => 0;
  calls = 0;
  dead = false;
  readonly #names = new Map<string, Inode>();
  readonly #durableNames = new Map<string, Inode>();
  /** Changes of names that no `syncDir` has made durable, by folder, in order. */
  readonly #pendingNames = new Map<string, NameChange[]>();
  readonly #locks = new Set<string>();

  /** The process dies; what the kernel holds stays. */
  restartProcess(): void {
    this.dead = false;
    this.#locks.clear();
  }

  /** The machine dies: of what was not flushed only a random part survives. `random` yields [0, 1). */
  restartMachine(random: () => number): void {
    this.restartProcess();
    for (const changes of this.#pendingNames.values()) {
      const kept = Math.floor(random() * (changes.length + 1));
      for (const { path, inode } of changes.slice(0, kept)) setName(this.#durableNames, path, inode);
    }
    this.#pendingNames.clear();
    this.#names.clear();
    for (const [path, inode] of this.#durableNames) this.#names.set(path, inode);
    for (const inode of new Set(this.#names.values())) tear(inode, random);
  }

  /** Direct access for tests, past all faults. */
  contents(path: string): Buffer {
    return Buffer.from(this.#inode(path).cached);
  }

  overwrite(path: string, bytes: Buffer): void {
    const inode = this.#inode(path);
    inode.cached = Buffer.from(bytes);
    inode.durable = Buffer.from(bytes);
  }

  paths(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** An independent copy of everything, as `cp -r` would make. */
  copy(): MemoryDisk {
    const twin = new MemoryDisk();
    for (const [path, inode] of this.#names) {
      const clone = newInode(Buffer.from(inode.cached), inode.mode);
      clone.durable = Buffer.from(inode.cached);
      twin.#names.set(path, clone);
      twin.#durableNames.set(path, clone);
    }
    return twin;
  }

  async makeDir(): Promise<void> {
    this.#alive();
  }

  async list(path: string): Promise<string[]> {
    this.#alive();
    const prefix = `${path}/`;
    const names = new Set<string>();
    for (const name of this.#names.keys()) {
      if (name.startsWith(prefix)) names.add(name.slice(prefix.length).split('/')[0]!);
    }
    return [...names].sort();
  }

  async stat(path: string): Promise<{ kind: 'file' | 'dir'; size: number; mode: number } | null> {
    this.#alive();
    const inode = this.#names.get(path);
    if (inode) return { kind: 'file', size: inode.cached.length, mode: inode.mode };
    return (await this.list(path)).length > 0 ? { kind: 'dir', size: 0, mode: 0o755 } : null;
  }

  existsNow(path: string): boolean {
    this.#alive();
    return this.#names.has(path);
  }

  async read(path: string, from = 0, to = Number.MAX_SAFE_INTEGER): Promise<Buffer> {
    return this.#call('read', path, () => Buffer.from(this.#inode(path).cached.subarray(from, to)));
  }

  async open(path: string, exclusive = false): Promise<DiskFile> {
    return this.#call('open', path, () => {
      let inode = this.#names.get(path);
      if (inode && exclusive) throw failure('EEXIST', path);
      if (!inode) {
        inode = newInode(Buffer.alloc(0), 0o644);
        this.#changeName(path, inode);
      }
      return new MemoryFile(this, path, inode);
    });
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call('rename', to, () => {
      const inode = this.#inode(from);
      this.#changeName(from, null);
      this.#changeName(to, inode);
    });
  }

  async link(from: string, to: string): Promise<void> {
    this.#call('link', to, () => {
      if (this.#names.has(to)) throw failure('EEXIST', to);
      this.#changeName(to, this.#inode(from));
    });
  }

  async remove(path: string): Promise<void> {
    this.#call('remove', path, () => {
      if (this.#names.has(path)) this.#changeName(path, null);
    });
  }

  async chmod(path: string, mode: number): Promise<void> {
    this.#call('chmod', path, () => {
      this.#inode(path).mode = mode;
    });
  }

  async syncDir(path: string): Promise<void> {
    this.#call('syncDir', path, () => {
      for (const change of this.#pendingNames.get(path) ?? []) setName(this.#durableNames, change.path, change.inode);
      this.#pendingNames.delete(path);
    });
  }

  async lock(dir: string): Promise<() => Promise<void>> {
    this.#alive();
    if (this.#locks.has(dir)) throw new DavyError(ledgerErrors.locked, `${dir} is open in another process.`);
    this.#locks.add(dir);
    return async () => {
      this.#locks.delete(dir);
    };
  }

  append(path: string, inode: Inode, bytes: Uint8Array): number {
    let take = bytes.length;
    const done = this.#call('append', path, (fault) => {
      if (fault === 'short') take = Math.max(1, Math.floor(take / 2));
      take = Math.min(take, Math.max(0, this.capacityBytes - this.#used()));
      if (take === 0 && bytes.length > 0) throw failure('ENOSPC', path);
      inode.cached = Buffer.concat([inode.cached, bytes.subarray(0, take)]);
      return take;
    });
    return done;
  }

  datasync(path: string, inode: Inode): void {
    const flush = (): void => {
      inode.durable = Buffer.from(inode.cached);
      inode.durable.fill(0, inode.lostFrom, inode.lostTo);
    };
    const lose = (): void => {
      inode.lostFrom = Math.min(inode.lostFrom, inode.durable.length);
      inode.lostTo = inode.cached.length;
    };
    this.#call('datasync', path, flush, lose);
  }

  truncate(path: string, inode: Inode, bytes: number): void {
    this.#call('truncate', path, () => {
      inode.cached = Buffer.from(inode.cached.subarray(0, bytes));
    });
  }

  #alive(): void {
    if (this.dead) throw new CrashError();
  }

  #call<T>(op: DiskCall['op'], path: string, work: (fault: DiskFault | undefined) => T, onEio?: () => void): T {
    this.#alive();
    const fault = this.fault({ op, path, index: this.calls++ });
    if (fault === 'crash') {
      this.dead = true;
      throw new CrashError();
    }
    if (fault === 'enospc') throw failure('ENOSPC', path);
    if (fault === 'eio') {
      onEio?.();
      throw failure('EIO', path);
    }
    const result = work(fault);
    if (fault === 'crash-after') {
      this.dead = true;
      throw new CrashError();
    }
    if (fault === 'eio-after') throw failure('EIO', path);
    return result;
  }

  #inode(path: string): Inode {
    const inode = this.#names.get(path);
    if (!inode) throw failure('ENOENT', path);
    return inode;
  }

  #changeName(path: string, inode: Inode | null): void {
    setName(this.#names, path, inode);
    const folder = dirname(path);
    const pending = this.#pendingNames.get(folder) ?? [];
    pending.push({ path, inode });
    this.#pendingNames.set(folder, pending);
  }

  #used(): number {
    let bytes = 0;
    for (const inode of new Set(this.#names.values())) bytes += inode.cached.length;
    return bytes;
  }
}

function newInode(bytes: Buffer, mode: number): Inode {
  return { mode, cached: bytes, durable: Buffer.alloc(0), lostFrom: Number.MAX_SAFE_INTEGER, lostTo: 0 };
}

function setName(names: Map<string, Inode>, path: string, inode: Inode | null): void {
  if (inode) names.set(path, inode);
  else names.delete(path);
}

const SECTOR_BYTES = 512;

/** What a crash leaves of the bytes that were not flushed. */
function tear(inode: Inode, random: () => number): void {
  const { cached, durable } = inode;
  if (cached.length > durable.length) {
    const kept = durable.length + Math.floor(random() * (cached.length - durable.length + 1));
    const left = Buffer.from(cached.subarray(0, kept));
    durable.copy(left);
    if (random() < 0.3) {
      const sector = Math.floor((durable.length + random() * (kept - durable.length)) / SECTOR_BYTES) * SECTOR_BYTES;
      left.fill(0, Math.max(sector, durable.length), Math.min(sector + SECTOR_BYTES, kept));
    }
    inode.durable = left;
  } else if (cached.length < durable.length && random() < 0.5) {
    inode.durable = Buffer.from(cached);
  }
  inode.cached = Buffer.from(inode.durable);
  inode.lostFrom = Number.MAX_SAFE_INTEGER;
  inode.lostTo = 0;
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk;
  readonly #path: string;
  readonly #inode: Inode;

  constructor(disk: MemoryDisk, path: string, inode: Inode) {
    this.#disk = disk;
    this.#path = path;
    this.#inode = inode;
  }

  append(bytes: Uint8Array): number {
    return this.#disk.append(this.#path, this.#inode, bytes);
  }

  async datasync(): Promise<void> {
    for (let turns = this.#disk.flushTurns(); turns > 0; turns--) await null;
    this.#disk.datasync(this.#path, this.#inode);
  }

  size(): number {
    return this.#inode.cached.length;
  }

  async truncate(bytes: number): Promise<void> {
    this.#disk.truncate(this.#path, this.#inode, bytes);
  }

  async close(): Promise<void> {}
}

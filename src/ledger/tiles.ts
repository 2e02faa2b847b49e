import { dirname } from 'node:path';
import { appendAll, type Disk, type DiskFile, errorCode } from './disk.ts';
import { type BinaryHash, type Frontier, nodeHash } from './tree.ts';

/** C2SP tlog-tiles: a tile holds up to 256 hashes of one level (height 8). */
export const TILE_WIDTH = 256;
const HASH_BYTES = 32;

/** `x001/x234/067` for 1234067 (C2SP tlog-tiles, section "Merkle tree"). */
export function tileIndexPath(index: number): string {
  const groups: string[] = [];
  let rest = index;
  do {
    groups.unshift(String(rest % 1_000).padStart(3, '0'));
    rest = Math.floor(rest / 1_000);
  } while (rest > 0);
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

/** Path of a tile inside the ledger folder; `width` 256 is the full tile, less a partial one. */
export function tilePath(level: number, index: number, width: number): string {
  const base = `tile/${level}/${tileIndexPath(index)}`;
  return width === TILE_WIDTH ? base : `${base}.p/${width}`;
}

/** The tile at each level that is not full yet. */
export type PartialTiles = BinaryHash[][];

interface Tile {
  level: number;
  index: number;
  hashes: BinaryHash[];
}

/**
 * Keeps the tiles of a growing tree on disk: full ones as they fill, and one partial tile per level for each published
 * size. Those stay until their full tile is there (C2SP tlog-tiles, section "Partial Tiles"): whoever reads with a checkpoint
 * of a moment ago would otherwise find its tree gone. Tiles are derived from the records and never trusted without a root.
 */
export class TileWriter {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #partial: PartialTiles;
  readonly #firstIndex: number[];
  #full: Tile[] = [];

  constructor(disk: Disk, dir: string, frontier: Frontier, partial: PartialTiles) {
    this.#disk = disk;
    this.#dir = dir;
    this.#partial = partial;
    this.#firstIndex = partial.map((hashes, level) => (nodesAt(frontier.size, level) - hashes.length) / TILE_WIDTH);
    frontier.onTileNode = (level, node) => this.#add(level, node);
  }

  get partial(): PartialTiles {
    return this.#partial.map((hashes) => [...hashes]);
  }

  #add(level: number, node: BinaryHash): void {
    this.#partial[level] ??= [];
    this.#firstIndex[level] ??= 0;
    const hashes = this.#partial[level];
    hashes.push(node);
    if (hashes.length < TILE_WIDTH) return;
    this.#full.push({ level, index: this.#firstIndex[level], hashes });
    this.#partial[level] = [];
    this.#firstIndex[level] += 1;
  }

  /** Writes what is complete and the partial tiles of the present size; call it before the checkpoint is published. */
  async publish(): Promise<void> {
    const full = [...this.#full];
    const partial = this.#partial.map((hashes, level) => ({
      level,
      index: this.#firstIndex[level]!,
      hashes: [...hashes],
    }));
    for (const tile of full) {
      await this.#write(tile);
      await this.#removePartial(tile);
      // Only now: what a full disk refuses is written by the next publication.
      this.#full.shift();
    }
    for (const tile of partial) {
      if (tile.hashes.length > 0) await this.#write(tile);
    }
  }

  async #removePartial({ level, index }: Tile): Promise<void> {
    const folder = `${this.#dir}/${dirname(tilePath(level, index, 1))}`;
    for (const name of await this.#disk.list(folder)) await this.#disk.remove(`${folder}/${name}`);
  }

  async #write({ level, index, hashes }: Tile): Promise<void> {
    const target = `${this.#dir}/${tilePath(level, index, hashes.length)}`;
    if ((await this.#disk.stat(target))?.size === hashes.length * HASH_BYTES) return;
    const file = await this.#openNew(`${target}.tmp`);
    try {
      appendAll(file, Buffer.from(hashes.join(''), 'latin1'));
    } finally {
      await file.close();
    }
    await this.#disk.rename(`${target}.tmp`, target);
  }

  /** Most tiles go where others are, so what may be in the way is only looked at when it is. */
  async #openNew(path: string): Promise<DiskFile> {
    try {
      return await this.#disk.open(path, true);
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT') await this.#disk.makeDir(dirname(path));
      // A crash left half a tile there.
      else if (code === 'EEXIST') await this.#disk.remove(path);
      else throw error;
      return this.#disk.open(path, true);
    }
  }
}

/** Number of complete nodes at a tile level (level 8 × `tileLevel` of the tree). */
function nodesAt(size: number, tileLevel: number): number {
  return Math.floor(size / TILE_WIDTH ** tileLevel);
}

/** The hashes of one tile of a tree of `size` leaves, or null when the file is missing or has the wrong length. */
export async function readTile(
  disk: Disk,
  dir: string,
  level: number,
  index: number,
  size: number,
): Promise<BinaryHash[] | null> {
  const width = Math.min(TILE_WIDTH, nodesAt(size, level) - index * TILE_WIDTH);
  for (const candidate of width === TILE_WIDTH ? [TILE_WIDTH] : [width, TILE_WIDTH]) {
    const text = await readWhole(disk, `${dir}/${tilePath(level, index, candidate)}`, candidate * HASH_BYTES);
    if (text === null) continue;
    return Array.from({ length: width }, (_, i) => text.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES));
  }
  return null;
}

/** A file of exactly so many bytes, or null. A partial tile may go at any moment, because its full one has come. */
async function readWhole(disk: Disk, path: string, bytes: number): Promise<string | null> {
  const stat = await disk.stat(path);
  if (stat?.kind !== 'file' || stat.size !== bytes) return null;
  try {
    return (await disk.read(path)).toString('latin1');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Leaf hashes of the first `size` records as the tiles have them; null when a tile is missing. */
export async function leavesFromTiles(disk: Disk, dir: string, size: number): Promise<BinaryHash[] | null> {
  const leaves: BinaryHash[] = [];
  for (let index = 0; leaves.length < size; index++) {
    const tile = await readTile(disk, dir, 0, index, size);
    if (!tile) return null;
    for (const hash of tile) leaves.push(hash);
  }
  return leaves;
}

/** Path of the bundle of the entries behind a level-0 tile (C2SP tlog-tiles, section "Log entries"). */
export function bundlePath(index: number, width: number): string {
  const base = `tile/entries/${tileIndexPath(index)}`;
  return width === TILE_WIDTH ? base : `${base}.p/${width}`;
}

/** Entries one after the other, each behind its length as a big-endian uint16. */
export function entryBundle(lines: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (const line of lines) {
    const bytes = Buffer.from(line);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    parts.push(length, bytes);
  }
  return Buffer.concat(parts);
}

/** Every tile of the tree over `leaves`, level by level; the last one of a level may be partial. */
export function* tilesOf(leaves: readonly BinaryHash[]): Generator<Tile> {
  let nodes = leaves;
  for (let level = 0; nodes.length > 0; level++) {
    const above: BinaryHash[] = [];
    for (let index = 0; index * TILE_WIDTH < nodes.length; index++) {
      const hashes = nodes.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
      yield { level, index, hashes };
      if (hashes.length === TILE_WIDTH) above.push(subtreeRoot(hashes));
    }
    nodes = above;
  }
}

/** Root of the perfect subtree over 2^k hashes. */
export function subtreeRoot(hashes: readonly BinaryHash[]): BinaryHash {
  let row = [...hashes];
  while (row.length > 1) {
    const next: BinaryHash[] = [];
    for (let i = 0; i < row.length; i += 2) next.push(nodeHash(row[i]!, row[i + 1]!));
    row = next;
  }
  return row[0]!;
}

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Disk } from './disk.ts';
import { nodeDisk } from './node-disk.ts';
import { leavesFromTiles, TileWriter, tilePath, tilesOf } from './tiles.ts';
import { Frontier, toBinary } from './tree.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'davy-tiles-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const leaf = (n: number): string => toBinary(n.toString(16).padStart(64, '0'));

async function written(size: number, between: () => Promise<void> = async () => undefined): Promise<string[] | null> {
  const frontier = new Frontier();
  const tiles = new TileWriter(nodeDisk, dir, frontier, []);
  for (let n = 0; n < size; n++) {
    frontier.appendBinary(leaf(n));
    if (n !== 299) continue;
    await tiles.publish();
    await between();
  }
  await tiles.publish();
  return leavesFromTiles(nodeDisk, dir, size);
}

it('tiles are read back as they were written', async () => {
  expect(await written(700)).toEqual(Array.from({ length: 700 }, (_, n) => leaf(n)));
  expect((await readFile(join(dir, 'tile/1/000.p/2'))).length).toBe(64);
});

it('a partial tile stays until its full one is there, also that of an earlier writer', async () => {
  const partial = (): Promise<string[]> => nodeDisk.list(join(dir, 'tile/0/001.p'));
  const leaves = Array.from({ length: 512 }, (_, n) => leaf(n));
  const frontier = new Frontier();
  const grow = (to: number): void => {
    for (let n = frontier.size; n < to; n++) frontier.appendBinary(leaf(n));
  };
  const first = new TileWriter(nodeDisk, dir, frontier, []);
  for (const size of [300, 310]) {
    grow(size);
    await first.publish();
  }
  const second = new TileWriter(nodeDisk, dir, frontier, first.partial);
  for (const size of [310, 400, 511]) {
    grow(size);
    await second.publish();
  }
  expect(await partial()).toEqual(['144', '255', '44', '54']);
  for (const size of [300, 310, 400, 511]) {
    expect(await leavesFromTiles(nodeDisk, dir, size)).toEqual(leaves.slice(0, size));
  }
  grow(512);
  await second.publish();
  expect(await partial()).toEqual([]);
  for (const size of [300, 400, 512]) expect(await leavesFromTiles(nodeDisk, dir, size)).toEqual(leaves.slice(0, size));
});

it('a full tile that the disk refused is written by the next publication', async () => {
  let isFull = true;
  const disk: Disk = {
    ...nodeDisk,
    open: (path, exclusive) =>
      isFull ? Promise.reject(Object.assign(new Error('full'), { code: 'ENOSPC' })) : nodeDisk.open(path, exclusive),
  };
  const frontier = new Frontier();
  const tiles = new TileWriter(disk, dir, frontier, []);
  for (let n = 0; n < 600; n++) frontier.appendBinary(leaf(n));
  await expect(tiles.publish()).rejects.toMatchObject({ code: 'ENOSPC' });
  isFull = false;
  await tiles.publish();
  expect(await leavesFromTiles(nodeDisk, dir, 600)).toHaveLength(600);
});

it('tiles made from the leaves are those that the writer wrote', async () => {
  await written(700);
  const leaves = Array.from({ length: 700 }, (_, n) => leaf(n));
  for (const { level, index, hashes } of tilesOf(leaves)) {
    expect(await readFile(join(dir, tilePath(level, index, hashes.length)), 'latin1')).toBe(hashes.join(''));
  }
  expect([...tilesOf(leaves)].map(({ level, index }) => `${level}/${index}`)).toEqual(['0/0', '0/1', '0/2', '1/0']);
});

it('half a tile that a crash left is replaced', async () => {
  await written(256);
  await mkdir(join(dir, 'tile/0/001.p'));
  for (const name of ['001.tmp', '001.p/44.tmp']) await writeFile(join(dir, 'tile/0', name), 'half');
  expect(await written(600)).toEqual(Array.from({ length: 600 }, (_, n) => leaf(n)));
});

it('a folder that is deleted under a running writer is made again', async () => {
  const found = await written(600, () => rm(join(dir, 'tile'), { recursive: true }));
  expect(found).toBeNull(); // tile 0 is gone; deriving it anew is what a start does
  expect((await readFile(join(dir, 'tile/0/001'))).length).toBe(256 * 32);
  expect((await readFile(join(dir, 'tile/0/002.p/88'))).length).toBe(88 * 32);
});

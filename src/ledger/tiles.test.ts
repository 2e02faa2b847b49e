import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { nodeDisk } from './node-disk.ts';
import { leavesFromTiles, TileWriter } from './tiles.ts';
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

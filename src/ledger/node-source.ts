import { hash } from 'node:crypto';
import { DavyError } from '../lib/error.ts';
import type { Disk } from './disk.ts';
import { ledgerErrors } from './errors.ts';
import { layout } from './layout.ts';
import { lineChunks, lineEnd } from './lines.ts';
import type { NodeSource } from './proof.ts';
import { listSegments } from './replay.ts';
import { readTile, subtreeRoot, TILE_WIDTH } from './tiles.ts';
import { type BinaryHash, toBinary } from './tree.ts';

const TILE_HEIGHT = 8;

/** Nodes from a list of leaf hashes; inner nodes are computed once. */
export function nodesOfLeaves(leaves: readonly BinaryHash[]): NodeSource {
  const known = new Map<string, BinaryHash>();
  return async (level, index) => {
    if (level === 0) return leaves[index]!;
    const key = `${level}/${index}`;
    const cached = known.get(key);
    if (cached !== undefined) return cached;
    const width = 2 ** level;
    const root = subtreeRoot(leaves.slice(index * width, (index + 1) * width));
    known.set(key, root);
    return root;
  };
}

/** Nodes from the tiles of a tree of `size` leaves. Whoever uses them must check the proof against a signed root. */
export function nodesOfTiles(disk: Disk, dir: string, size: number): NodeSource {
  const tiles = new Map<string, Promise<BinaryHash[] | null>>();
  return async (level, index) => {
    const tileLevel = Math.floor(level / TILE_HEIGHT);
    const width = 2 ** (level % TILE_HEIGHT);
    const first = index * width;
    const tileIndex = Math.floor(first / TILE_WIDTH);
    const key = `${tileLevel}/${tileIndex}`;
    const reading = tiles.get(key) ?? readTile(disk, dir, tileLevel, tileIndex, size);
    tiles.set(key, reading);
    const tile = await reading;
    if (!tile) throw new DavyError(ledgerErrors['missing-tile'], `Tile ${key} of a tree of ${size} is missing.`);
    const offset = first % TILE_WIDTH;
    return subtreeRoot(tile.slice(offset, offset + width));
  };
}

/** Leaf hashes of all complete lines, straight from the log, without any other check. */
export async function leavesFromLog(disk: Disk, dir: string, toSize = Number.MAX_SAFE_INTEGER): Promise<BinaryHash[]> {
  const leaves: BinaryHash[] = [];
  for (const segment of await listSegments(disk, dir)) {
    for await (const { bytes } of lineChunks(disk, layout.segment(dir, segment.name))) {
      for (let start = 0; start < bytes.length && leaves.length < toSize; ) {
        const end = lineEnd(bytes, start);
        leaves.push(toBinary(hash('sha256', Buffer.concat([Buffer.of(0), bytes.subarray(start, end)]), 'hex')));
        start = end + 1;
      }
    }
  }
  return leaves;
}

import type { Disk } from './disk.ts';
import { leavesFromLog } from './node-source.ts';
import { leavesFromTiles } from './tiles.ts';
import { Frontier } from './tree.ts';

/**
 * When the log does not have the root that a checkpoint was signed for, the tiles may still hold the leaf hashes that
 * it was signed for: they prove themselves by that root. The first leaf that differs is then the first altered record.
 * Null when the tiles are gone or altered too.
 */
export async function locateAlteration(
  disk: Disk,
  dir: string,
  known: { size: number; root: string },
): Promise<number | null> {
  const original = await leavesFromTiles(disk, dir, known.size);
  if (!original) return null;
  const frontier = new Frontier();
  for (const leaf of original) frontier.appendBinary(leaf);
  if (frontier.rootHex() !== known.root) return null;
  const found = await leavesFromLog(disk, dir, known.size);
  const at = original.findIndex((leaf, seq) => leaf !== found[seq]);
  return at === -1 ? null : at;
}

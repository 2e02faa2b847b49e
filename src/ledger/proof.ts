import { type BinaryHash, nodeHash } from './tree.ts';

/** Gives the root of the perfect subtree of leaves `[index * 2^level, (index + 1) * 2^level)`. */
export type NodeSource = (level: number, index: number) => Promise<BinaryHash>;

/** Largest power of two smaller than `n` (n > 1). */
function splitPoint(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

function levelOf(width: number): number {
  return Math.log2(width);
}

/** MTH(D[start:end]) of RFC 6962 section 2.1; `start` is a multiple of the largest power of two below the width. */
export async function rangeRoot(node: NodeSource, start: number, end: number): Promise<BinaryHash> {
  const width = end - start;
  if (Number.isInteger(levelOf(width)) && start % width === 0) return node(levelOf(width), start / width);
  const k = splitPoint(width);
  return nodeHash(await rangeRoot(node, start, start + k), await rangeRoot(node, start + k, end));
}

/** Inclusion proof PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf to the root. */
export async function inclusionProof(node: NodeSource, index: number, size: number): Promise<BinaryHash[]> {
  if (index < 0 || index >= size) throw new RangeError(`leaf ${index} is not in a tree of ${size}`);
  return path(node, index, 0, size);
}

async function path(node: NodeSource, index: number, start: number, end: number): Promise<BinaryHash[]> {
  if (end - start === 1) return [];
  const middle = start + splitPoint(end - start);
  return index < middle
    ? [...(await path(node, index, start, middle)), await rangeRoot(node, middle, end)]
    : [...(await path(node, index, middle, end)), await rangeRoot(node, start, middle)];
}

/** Consistency proof PROOF(oldSize, D[size]) of RFC 6962 section 2.1.2; empty when nothing has to be proven. */
export async function consistencyProof(node: NodeSource, oldSize: number, size: number): Promise<BinaryHash[]> {
  if (oldSize < 0 || oldSize > size) throw new RangeError(`a tree of ${size} has no version of ${oldSize}`);
  return oldSize === 0 || oldSize === size ? [] : subproof(node, oldSize, 0, size, true);
}

async function subproof(
  node: NodeSource,
  m: number,
  start: number,
  end: number,
  isOldTree: boolean,
): Promise<BinaryHash[]> {
  if (m === end - start) return isOldTree ? [] : [await rangeRoot(node, start, end)];
  const k = splitPoint(end - start);
  return m <= k
    ? [...(await subproof(node, m, start, start + k, isOldTree)), await rangeRoot(node, start + k, end)]
    : [...(await subproof(node, m - k, start + k, end, false)), await rangeRoot(node, start, start + k)];
}

/** Whether the proof leads from the leaf to the root: RFC 9162 section 2.1.3.2. */
export function checkInclusion(
  proof: readonly BinaryHash[],
  index: number,
  size: number,
  leaf: BinaryHash,
  root: BinaryHash,
): boolean {
  if (index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let r = leaf;
  for (const p of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      r = nodeHash(p, r);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      r = nodeHash(r, p);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && r === root;
}

/** Whether the proof shows that the old tree is a prefix of the new one: RFC 9162 section 2.1.4.2. */
export function checkConsistency(
  proof: readonly BinaryHash[],
  oldSize: number,
  size: number,
  oldRoot: BinaryHash,
  root: BinaryHash,
): boolean {
  if (oldSize < 0 || oldSize > size) return false;
  if (oldSize === size) return proof.length === 0 && oldRoot === root;
  if (oldSize === 0) return proof.length === 0;
  const path = Number.isInteger(levelOf(oldSize)) ? [oldRoot, ...proof] : [...proof];
  if (path.length === 0) return false;
  let fn = oldSize - 1;
  let sn = size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let fr = path[0]!;
  let sr = path[0]!;
  for (const c of path.slice(1)) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else {
      sr = nodeHash(sr, c);
    }
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && fr === oldRoot && sr === root;
}

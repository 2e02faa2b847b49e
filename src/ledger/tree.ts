import { hash } from 'node:crypto';

/**
 * The Merkle tree of RFC 6962 section 2.1 over the leaf hashes of the log. Hashes are held as 32-character binary
 * strings here (hashing into a string costs a third of hashing into a Buffer) and as hex everywhere else.
 */
export type BinaryHash = string;

const nodeBytes = Buffer.alloc(65);
nodeBytes[0] = 1;
const hexBytes = Buffer.alloc(32);

export const EMPTY_ROOT_HEX: string = hash('sha256', '', 'hex');

export function toBinary(hex: string): BinaryHash {
  hexBytes.write(hex, 'hex');
  return hexBytes.toString('latin1');
}

export function toHex(binary: BinaryHash): string {
  hexBytes.write(binary, 'latin1');
  return hexBytes.toString('hex');
}

/** SHA-256(0x01 || left || right). */
export function nodeHash(left: BinaryHash, right: BinaryHash): BinaryHash {
  nodeBytes.write(left, 1, 32, 'latin1');
  nodeBytes.write(right, 33, 32, 'latin1');
  return hash('sha256', nodeBytes, 'binary');
}

/**
 * The roots of the perfect subtrees that make up a tree, one per set bit of its size: enough to append and to compute
 * the root, in a few hundred bytes whatever the size.
 */
export class Frontier {
  /** Told of every complete node at a level that is a multiple of 8, in order: what C2SP tiles consist of. */
  onTileNode: ((tileLevel: number, node: BinaryHash) => void) | null = null;
  #size = 0;
  /** Index = level; null where the size has no such bit. */
  #levels: (BinaryHash | null)[] = [];

  get size(): number {
    return this.#size;
  }

  append(leafHex: string): void {
    // Half of the leaves are only ever the right-hand side of a node, and need not become a text of their own.
    const left = this.#levels[0];
    if (!left || this.onTileNode) {
      this.appendBinary(toBinary(leafHex));
      return;
    }
    nodeBytes.write(left, 1, 32, 'latin1');
    nodeBytes.write(leafHex, 33, 32, 'hex');
    this.#levels[0] = null;
    this.#carry(hash('sha256', nodeBytes, 'binary'), 1);
    this.#size += 1;
  }

  appendBinary(leaf: BinaryHash): void {
    this.onTileNode?.(0, leaf);
    this.#carry(leaf, 0);
    this.#size += 1;
  }

  #carry(node: BinaryHash, from: number): void {
    const levels = this.#levels;
    let carry = node;
    let level = from;
    for (let left = levels[level]; left; left = levels[level]) {
      carry = nodeHash(left, carry);
      levels[level] = null;
      level += 1;
      if ((level & 7) === 0) this.onTileNode?.(level >> 3, carry);
    }
    levels[level] = carry;
  }

  /** Appends a perfect subtree of 2^level leaves, saved by `toJson`; the size must be a multiple of that. */
  appendSubtree(level: number, root: BinaryHash): void {
    if (this.#size % 2 ** level !== 0) throw new RangeError('a subtree must start at a multiple of its size');
    const levels = this.#levels;
    while (levels.length <= level) levels.push(null);
    let carry = root;
    let at = level;
    for (let left = levels[at]; left; left = levels[at]) {
      carry = nodeHash(left, carry);
      levels[at] = null;
      at += 1;
    }
    levels[at] = carry;
    this.#size += 2 ** level;
  }

  /** Appends what another tree holds that is smaller than every subtree of this one. */
  appendTail(size: number, levels: readonly string[]): void {
    const joined = this.#size + size;
    for (let level = levels.length - 1; level >= 0; level--) {
      const hex = levels[level];
      if (hex) this.appendSubtree(level, toBinary(hex));
    }
    if (this.#size !== joined) throw new RangeError('the subtrees do not have the size stated');
  }

  clone(): Frontier {
    return Frontier.fromJson(this.#size, this.toJson());
  }

  rootHex(): string {
    let root: BinaryHash | null = null;
    for (const left of this.#levels) {
      if (left) root = root === null ? left : nodeHash(left, root);
    }
    return root === null ? EMPTY_ROOT_HEX : toHex(root);
  }

  /** The state as hex, lowest level first, empty text where a level is empty. */
  toJson(): string[] {
    return this.#levels.map((node) => (node ? toHex(node) : ''));
  }

  static fromJson(size: number, levels: readonly string[]): Frontier {
    const frontier = new Frontier();
    frontier.#size = size;
    frontier.#levels = levels.map((hex) => (hex === '' ? null : toBinary(hex)));
    return frontier;
  }
}

import { HASH_DIGITS, hexMatches } from './byte-pattern.ts';
import { lineLeaf } from './chain-check.ts';
import { fileLineChunks } from './file-lines.ts';
import { lineEnd } from './lines.ts';
import { type BinaryHash, toHex } from './tree.ts';

const PREV = Buffer.from('"prev":"');

/** Hashes every line and holds it against the `prev` of the next; nothing else of a line is looked at. */
export class LinkCheck {
  records = 0;
  /** What the first line names as the one before it, hex. */
  first = '';
  /** Null while the first line of a part from the middle of the log is awaited. */
  #tip: BinaryHash | null;

  constructor(tip: BinaryHash | null) {
    this.#tip = tip;
  }

  /** Leaf hash of the last line, hex. */
  get tip(): string {
    return this.#tip === null ? '' : toHex(this.#tip);
  }

  /** False when a line does not name the one before. The line ends in `bytes` are overwritten. */
  acceptLines(bytes: Buffer): boolean {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let start = 0; start < bytes.length; ) {
      const end = lineEnd(bytes, start);
      const found = bytes.indexOf(PREV, start);
      const at = found + PREV.length;
      if (found === -1 || at + HASH_DIGITS > end) return false;
      if (this.records === 0) this.first = bytes.toString('latin1', at, at + HASH_DIGITS);
      if (this.#tip !== null && !hexMatches(view, at, this.#tip)) return false;
      this.#tip = lineLeaf(bytes, start, end);
      this.records += 1;
      start = end + 1;
    }
    return true;
  }
}

/** The links of one segment; plain data, so that it can come from another thread. */
export interface LinkReport {
  failed: boolean;
  records: number;
  first: string;
  tip: string;
}

/** Checks the links inside one segment. */
export function checkSegmentLinks(
  task: { path: string },
  onBytes: (bytes: number, records: number) => void,
): LinkReport {
  const check = new LinkCheck(null);
  let failed = false;
  for (const bytes of fileLineChunks(task.path)) {
    const before = check.records;
    failed = !check.acceptLines(bytes);
    onBytes(bytes.length, check.records - before);
    if (failed) break;
  }
  return { failed, records: check.records, first: check.first, tip: check.tip };
}

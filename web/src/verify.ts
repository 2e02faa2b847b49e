/**
 * The ledger checked in the browser: hashes by WebCrypto, nothing taken from the server but bytes.
 * Leaf and node hashes: RFC 6962 section 2.1; proofs: RFC 9162 sections 2.1.3.2 and 2.1.4.2; checkpoint: C2SP signed note.
 */

const encoder = new TextEncoder();

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => Number.parseInt(text.slice(i * 2, i * 2 + 2), 16));
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** SHA-256(0x00 || line). */
export async function leafHash(line: string): Promise<string> {
  return hex(await sha256(encoder.encode(`\0${line}`)));
}

async function nodeHash(left: string, right: string): Promise<string> {
  const bytes = new Uint8Array(65);
  bytes[0] = 1;
  bytes.set(fromHex(left), 1);
  bytes.set(fromHex(right), 33);
  return hex(await sha256(bytes));
}

export interface ChainFinding {
  seq: number;
  why: string;
}

/** Walks lines in order: each must name its place and the hash of the line before it. */
export class ChainCheck {
  readonly findings: ChainFinding[] = [];
  checked = 0;
  #next: number;
  #prev: string | null = null;

  constructor(fromSeq: number) {
    this.#next = fromSeq;
    if (fromSeq === 0) this.#prev = '0'.repeat(64);
  }

  async accept(lines: string[]): Promise<void> {
    const hashes = await Promise.all(lines.map(leafHash));
    for (const [index, line] of lines.entries()) {
      const expected = this.#next++;
      this.checked++;
      const record = parsed(line);
      if (!record) this.#found(expected, 'the line is no JSON document');
      else if (record.seq !== expected) this.#found(expected, `it says that it is record ${record.seq}`);
      else if (this.#prev !== null && record.prev !== this.#prev) {
        this.#found(
          expected - 1,
          `record ${expected} was written after other bytes than these: one of the two was altered`,
        );
      }
      this.#prev = hashes[index] ?? null;
    }
  }

  /** Hash of the last line. */
  get tip(): string | null {
    return this.#prev;
  }

  #found(seq: number, why: string): void {
    if (this.findings.length < 100) this.findings.push({ seq, why });
  }
}

function parsed(line: string): { seq: number; prev: string } | null {
  try {
    return JSON.parse(line) as { seq: number; prev: string };
  } catch {
    return null;
  }
}

/** Whether a path leads from a leaf to the root. */
export async function includes(
  path: string[],
  index: number,
  size: number,
  leaf: string,
  root: string,
): Promise<boolean> {
  if (index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let at = leaf;
  for (const hash of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      at = await nodeHash(hash, at);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else at = await nodeHash(at, hash);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && at === root;
}

/** Whether the tree of `size` only grew from the one of `oldSize`. */
export async function grewFrom(
  path: string[],
  oldSize: number,
  size: number,
  oldRoot: string,
  root: string,
): Promise<boolean> {
  if (oldSize < 1 || oldSize > size) return false;
  if (oldSize === size) return path.length === 0 && oldRoot === root;
  const hashes = Number.isInteger(Math.log2(oldSize)) ? [oldRoot, ...path] : path;
  const [first, ...rest] = hashes;
  if (first === undefined) return false;
  let fn = oldSize - 1;
  let sn = size - 1;
  while (fn % 2 === 1) {
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  let old = first;
  let now = first;
  for (const hash of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      old = await nodeHash(hash, old);
      now = await nodeHash(hash, now);
      while (fn % 2 === 0 && fn !== 0) {
        fn = Math.floor(fn / 2);
        sn = Math.floor(sn / 2);
      }
    } else now = await nodeHash(now, hash);
    fn = Math.floor(fn / 2);
    sn = Math.floor(sn / 2);
  }
  return sn === 0 && old === oldRoot && now === root;
}

export interface Head {
  origin: string;
  size: number;
  /** Hex. */
  root: string;
}

/** Opens a signed checkpoint with a C2SP verifier key; throws with a sentence when anything does not hold. */
export async function openCheckpoint(note: string, vkey: string): Promise<Head> {
  const key = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey);
  const body = key?.[3] === undefined ? null : fromBase64(key[3]);
  if (!key || !body || body[0] !== 1 || body.length !== 33) throw new Error('The verifier key is not an Ed25519 key.');
  const [, name = '', keyId = ''] = key;
  const split = note.lastIndexOf('\n\n');
  const text = note.slice(0, split + 1);
  const [origin = '', size = '', root = ''] = text.split('\n');
  if (split === -1 || origin !== name) throw new Error(`The checkpoint is of "${origin}", the key of "${name}".`);
  const lines = note.slice(split + 2).split('\n');
  const mine = lines.map((line) => /^\u2014 (\S+) (\S+)$/u.exec(line)).filter((line) => line?.[1] === name);
  const publicKey = await crypto.subtle.importKey('raw', body.slice(1), 'Ed25519', false, ['verify']).catch(() => {
    throw new Error('This browser cannot check Ed25519 signatures.');
  });
  for (const line of mine) {
    const raw = fromBase64(line?.[2] ?? '');
    if (hex(raw.slice(0, 4)) !== keyId) continue;
    if (await crypto.subtle.verify('Ed25519', publicKey, raw.slice(4), encoder.encode(text))) {
      return { origin, size: Number(size), root: hex(fromBase64(root)) };
    }
  }
  throw new Error('The checkpoint has no valid signature of this key.');
}

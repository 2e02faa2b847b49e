/** The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B): octets out of it, four bits at a time. */

/** Length in bits of the code of each octet, then of EOS. The code is canonical: lengths say all of it. */
const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
]; // biome-ignore format: a table

const EOS = 256;
const NOTHING = -1;

/** Inner nodes of the code's tree: `child[2 * node + bit]` is the next node, or `~octet` at a leaf. */
const child: number[] = [0, 0];

function insert(symbol: number, code: number, length: number): void {
  let node = 0;
  for (let bit = length - 1; bit > 0; bit--) {
    const at = 2 * node + ((code >>> bit) & 1);
    if (child[at] === 0) {
      child[at] = child.length / 2;
      child.push(0, 0);
    }
    node = child[at]!;
  }
  child[2 * node + (code & 1)] = ~symbol;
}

function build(): void {
  const symbols = LENGTHS.map((length, symbol) => ({ length, symbol }));
  symbols.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  let code = 0;
  let before = symbols[0]!.length;
  for (const { length, symbol } of symbols) {
    code *= 2 ** (length - before);
    before = length;
    insert(symbol, code++, length);
  }
}

build();

/** By `16 * node + four bits`: the node after them, and the one octet that they can complete (no code is shorter than five bits). */
const next = new Uint16Array(8 * child.length);
const completed = new Int16Array(8 * child.length).fill(NOTHING);
for (let at = 0; at < next.length; at++) {
  let node = at >>> 4;
  for (let bit = 3; bit >= 0; bit--) {
    const to = child[2 * node + ((at >>> bit) & 1)]!;
    if (to < 0) completed[at] = ~to;
    node = Math.max(to, 0);
  }
  next[at] = node;
}

/** The most octets that `length` octets of the code stand for. */
export function decodedBound(length: number): number {
  return Math.ceil((length * 8) / 5);
}

/** Decodes `buf[start, end)` into `to` and returns how many octets that are; -1 when EOS is among them (RFC 7541 section 5.2: an error). */
export function decodeHuffman(buf: Uint8Array, start: number, end: number, to: Uint8Array): number {
  let node = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const octet = buf[at]!;
    for (let bits = octet >>> 4, half = 0; half < 2; half++, bits = octet & 15) {
      const step = (node << 4) | bits;
      const symbol = completed[step]!;
      if (symbol === EOS) return -1;
      if (symbol !== NOTHING) to[length++] = symbol;
      node = next[step]!;
    }
  }
  return length;
}

/**
 * Reads header blocks (HPACK, RFC 7541) for one thing: whether each field is well-formed. node:http2 drops fields that are not, and passes
 * the message on without them; RFC 9113 section 8.2.1 has the message malformed. Nothing is kept of a field but its sizes and the verdict.
 *
 *   name   1*( tchar without upper case )                       RFC 9113 section 8.2.1, RFC 9110 section 5.6.2
 *   value  [ *field-octet ] with no blank at either end         RFC 9113 section 8.2.1, RFC 9110 section 5.5
 *
 * Pseudo-fields are left to node:http2, which resets the stream for them.
 */
import { CLASS, COLON, FIELD, HTAB, SP, TCHAR } from '../http1/bytes.ts';
import { decodedBound, decodeHuffman } from './huffman.ts';

/** Of an entry besides its octets (RFC 7541 section 4.1). */
const ENTRY_OVERHEAD = 32;
/** What is announced, by default, as SETTINGS_HEADER_TABLE_SIZE (RFC 9113 section 6.5.2). */
const TABLE_BYTES = 4096;
/** More would not fit into any block that is taken. */
const MAX_INTEGER = 2 ** 24;

/** Names of the static table (RFC 7541 appendix A), 1 to 61. */
const STATIC_NAMES = [
  ':authority', ':method', ':method', ':path', ':path', ':scheme', ':scheme', ':status', ':status', ':status',
  ':status', ':status', ':status', ':status', 'accept-charset', 'accept-encoding', 'accept-language', 'accept-ranges',
  'accept', 'access-control-allow-origin', 'age', 'allow', 'authorization', 'cache-control', 'content-disposition',
  'content-encoding', 'content-language', 'content-length', 'content-location', 'content-range', 'content-type',
  'cookie', 'date', 'etag', 'expect', 'expires', 'from', 'host', 'if-match', 'if-modified-since', 'if-none-match',
  'if-range', 'if-unmodified-since', 'last-modified', 'link', 'location', 'max-forwards', 'proxy-authenticate',
  'proxy-authorization', 'range', 'referer', 'refresh', 'retry-after', 'server', 'set-cookie',
  'strict-transport-security', 'transfer-encoding', 'user-agent', 'vary', 'via', 'www-authenticate',
]; // biome-ignore format: a table

interface Name {
  length: number;
  pseudo: boolean;
  wellFormed: boolean;
}

interface Entry {
  name: Name;
  /** As it counts for the table. */
  bytes: number;
  wellFormed: boolean;
}

const staticEntries = STATIC_NAMES.map((name): Entry => {
  return { name: { length: name.length, pseudo: name.startsWith(':'), wellFormed: true }, bytes: 0, wellFormed: true };
});

/** The block is not HPACK, or more than is taken: nothing that comes after it on the connection can be read. */
export class UnreadableBlock extends Error {}

/** One direction of one connection. */
export class FieldScan {
  /** The oldest first. */
  private readonly entries: Entry[] = [];
  private tableBytes = 0;
  private maxTableBytes = TABLE_BYTES;
  private block: Uint8Array = new Uint8Array(0);
  private at = 0;
  /** Where the octets of a Huffman code go. */
  private decoded = new Uint8Array(256);

  /** Whether every field of the block is well-formed. Throws `UnreadableBlock`. */
  isWellFormed(block: Uint8Array): boolean {
    this.block = block;
    this.at = 0;
    let wellFormed = true;
    while (this.at < block.length) wellFormed = this.field() && wellFormed;
    return wellFormed;
  }

  private field(): boolean {
    const first = this.block[this.at]!;
    if ((first & 0x80) !== 0) return this.entry(this.integer(7)).wellFormed;
    if ((first & 0xe0) === 0x20) {
      this.resize(this.integer(5));
      return true;
    }
    const indexed = (first & 0x40) !== 0;
    const index = this.integer(indexed ? 6 : 4);
    const name = index === 0 ? this.name() : this.entry(index).name;
    return this.literal(name, indexed);
  }

  private literal(name: Name, indexed: boolean): boolean {
    const value = this.string();
    const wellFormed = name.pseudo || (name.wellFormed && isValue(value));
    if (indexed) this.insert({ name, bytes: name.length + value.length + ENTRY_OVERHEAD, wellFormed });
    return wellFormed;
  }

  private name(): Name {
    const octets = this.string();
    const pseudo = octets[0] === COLON;
    return { length: octets.length, pseudo, wellFormed: pseudo || isName(octets) };
  }

  /** RFC 7541 section 2.3.3. */
  private entry(index: number): Entry {
    const known =
      index <= staticEntries.length
        ? staticEntries[index - 1]
        : this.entries[this.entries.length - (index - staticEntries.length)];
    if (known === undefined) throw new UnreadableBlock('an index that has no entry');
    return known;
  }

  private insert(entry: Entry): void {
    this.shrink(this.maxTableBytes - entry.bytes);
    if (entry.bytes > this.maxTableBytes) return;
    this.entries.push(entry);
    this.tableBytes += entry.bytes;
  }

  private resize(bytes: number): void {
    if (bytes > TABLE_BYTES) throw new UnreadableBlock('a larger table than was allowed');
    this.maxTableBytes = bytes;
    this.shrink(bytes);
  }

  /** Drops the oldest entries until no more than `bytes` are left (RFC 7541 section 4.4: an entry too large empties the table). */
  private shrink(bytes: number): void {
    while (this.tableBytes > bytes && this.entries.length > 0) this.tableBytes -= this.entries.shift()!.bytes;
  }

  /** RFC 7541 section 5.1. */
  private integer(prefixBits: number): number {
    const most = 2 ** prefixBits - 1;
    let value = this.octet() & most;
    if (value < most) return value;
    for (let scale = 1; ; scale *= 128) {
      const octet = this.octet();
      value += (octet & 127) * scale;
      if (value > MAX_INTEGER) throw new UnreadableBlock('a number that is too large');
      if (octet < 128) return value;
    }
  }

  private octet(): number {
    const octet = this.block[this.at++];
    if (octet === undefined) throw new UnreadableBlock('a block that ends within a field');
    return octet;
  }

  /** Valid until the next string. */
  private string(): Uint8Array {
    const huffman = (this.block[this.at]! & 0x80) !== 0;
    const length = this.integer(7);
    const start = this.at;
    this.at += length;
    if (this.at > this.block.length) throw new UnreadableBlock('a block that ends within a string');
    if (!huffman) return this.block.subarray(start, this.at);
    if (this.decoded.length < decodedBound(length)) this.decoded = new Uint8Array(decodedBound(length));
    const decodedLength = decodeHuffman(this.block, start, this.at, this.decoded);
    if (decodedLength < 0) throw new UnreadableBlock('a string with an end in it');
    return this.decoded.subarray(0, decodedLength);
  }
}

function isName(octets: Uint8Array): boolean {
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i]!;
    if ((CLASS[octet]! & TCHAR) === 0 || (octet >= 65 && octet <= 90)) return false;
  }
  return octets.length > 0;
}

function isValue(octets: Uint8Array): boolean {
  const last = octets.length - 1;
  if (last >= 0 && (isBlank(octets[0]!) || isBlank(octets[last]!))) return false;
  for (let i = 0; i <= last; i++) if ((CLASS[octets[i]!]! & FIELD) === 0) return false;
  return true;
}

function isBlank(octet: number): boolean {
  return octet === SP || octet === HTAB;
}

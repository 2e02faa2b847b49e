/**
 * Message bodies (RFC 9112 sections 6 and 7): how long one is, and the chunked coding, decoded octet-exact.
 *
 *   chunked-body = *( chunk-size [ chunk-ext ] CRLF chunk-data CRLF ) last-chunk trailer-section CRLF    section 7.1
 *   chunk-size   = 1*HEXDIG          at most 13 digits here, so it stays below 2^53
 *   chunk-ext    = anything visible  bounded and dropped (7.1.1)
 *   trailer      = *( field-line CRLF )   bounded; kept apart from the header section (7.1.2)
 *
 * Refused: bare CR or LF, white space before or after a size, a missing size, a wrong CRLF after the data.
 */
import { limits } from '../limits.ts';
import { CLASS, COLON, CR, FIELD, HEX, LF, TCHAR } from './bytes.ts';

export const NO_BODY = 0;
export const BY_LENGTH = 1;
export const BY_CHUNKS = 2;
/** Only from an upstream: the body ends with the connection. */
export const BY_CLOSE = 3;

/** Where the chunk machine stands. */
const SIZE_FIRST = 0;
const SIZE = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
const TRAILER_START = 7;
const TRAILER_NAME = 8;
const TRAILER_VALUE = 9;
const TRAILER_LF = 10;
const LAST_LF = 11;

/** Receives the pieces of body data that one `feed` found. */
export interface BodySink {
  bodyData(buf: Buffer, start: number, end: number): void;
}

/** Follows one body through any split of its octets. Reused for the next message by `begin`. */
export class BodyReader {
  kind = NO_BODY;
  done = true;
  failed = false;
  /** It failed because the gateway takes no more of what frames it: of a size, an extension or the trailers. */
  beyondLimit = false;
  /** Octets of data still to come (of the body, or of the current chunk). */
  remaining = 0;
  /** Octets of data seen. */
  seen = 0;
  /** Trailer octets as received, without the closing empty line; empty for most messages. */
  trailers: number[] = [];
  private state = SIZE_FIRST;
  private digits = 0;
  private lineBytes = 0;
  private trailerBytes = 0;

  begin(kind: number, length: number): void {
    this.kind = kind;
    this.remaining = kind === BY_LENGTH ? length : 0;
    this.done = kind === NO_BODY || (kind === BY_LENGTH && length === 0);
    this.failed = this.beyondLimit = false;
    this.seen = 0;
    this.state = SIZE_FIRST;
    this.digits = this.lineBytes = this.trailerBytes = 0;
    if (this.trailers.length > 0) this.trailers = [];
  }

  /** Consumes body octets of `buf[start, end)` and returns the index after the last one taken. `failed` stops it. */
  feed(buf: Buffer, start: number, end: number, sink: BodySink): number {
    if (this.done) return start;
    if (this.kind === BY_CHUNKS) return this.feedChunks(buf, start, end, sink);
    const take = this.kind === BY_CLOSE ? end : Math.min(end, start + this.remaining);
    if (take > start) {
      this.seen += take - start;
      sink.bodyData(buf, start, take);
    }
    if (this.kind === BY_LENGTH) {
      this.remaining -= take - start;
      this.done = this.remaining === 0;
    }
    return take;
  }

  private feedChunks(buf: Buffer, start: number, end: number, sink: BodySink): number {
    let at = start;
    while (at < end && !this.done && !this.failed) {
      if (this.state === DATA) {
        const take = Math.min(end, at + this.remaining);
        this.seen += take - at;
        sink.bodyData(buf, at, take);
        this.remaining -= take - at;
        at = take;
        if (this.remaining === 0) this.state = DATA_CR;
      } else {
        this.octet(buf[at++]!);
      }
    }
    return at;
  }

  private octet(octet: number): void {
    switch (this.state) {
      case SIZE_FIRST:
      case SIZE:
        this.sizeOctet(octet);
        return;
      case EXTENSION:
        if (octet === CR) this.state = SIZE_LF;
        else if ((CLASS[octet]! & FIELD) === 0) this.failed = true;
        else if (++this.lineBytes > limits.chunkLineBytes) this.exceed();
        return;
      case SIZE_LF:
        if (octet !== LF) this.failed = true;
        else this.state = this.remaining === 0 ? TRAILER_START : DATA;
        return;
      case DATA_CR:
        if (octet !== CR) this.failed = true;
        else this.state = DATA_LF;
        return;
      case DATA_LF:
        if (octet !== LF) this.failed = true;
        this.state = SIZE_FIRST;
        this.digits = this.lineBytes = this.remaining = 0;
        return;
      default:
        this.trailerOctet(octet);
        return;
    }
  }

  private sizeOctet(octet: number): void {
    const digit = HEX[octet]!;
    if (digit >= 0) {
      if (++this.digits > 13) this.exceed();
      this.remaining = this.remaining * 16 + digit;
      this.state = SIZE;
    } else if (this.state === SIZE && octet === CR) {
      this.state = SIZE_LF;
    } else if (this.state === SIZE && octet === 59) {
      this.state = EXTENSION;
    } else {
      this.failed = true;
    }
  }

  private trailerOctet(octet: number): void {
    switch (this.state) {
      case TRAILER_START:
        if (octet === CR) {
          this.state = LAST_LF;
          return;
        }
        if ((CLASS[octet]! & TCHAR) === 0) this.failed = true;
        this.state = TRAILER_NAME;
        break;
      case TRAILER_NAME:
        if (octet === COLON) this.state = TRAILER_VALUE;
        else if ((CLASS[octet]! & TCHAR) === 0) this.failed = true;
        break;
      case TRAILER_VALUE:
        if (octet === CR) this.state = TRAILER_LF;
        else if ((CLASS[octet]! & FIELD) === 0) this.failed = true;
        break;
      case TRAILER_LF:
        if (octet !== LF) this.failed = true;
        this.state = TRAILER_START;
        break;
      case LAST_LF:
        if (octet !== LF) this.failed = true;
        else this.done = true;
        return;
    }
    if (++this.trailerBytes > limits.trailerBytes) this.exceed();
    else this.trailers.push(octet);
  }

  private exceed(): void {
    this.failed = this.beyondLimit = true;
  }
}

/** Fields that must not come as trailers: framing, routing, authentication, and what the gateway itself sets (RFC 9110 section 6.5.1). */
const FORBIDDEN_TRAILERS = new Set([
  'transfer-encoding', 'content-length', 'host', 'connection', 'te', 'trailer', 'upgrade', 'keep-alive', 'expect',
  'authorization', 'proxy-authorization', 'proxy-authenticate', 'www-authenticate', 'cookie', 'set-cookie', 'cache-control',
  'content-encoding', 'content-type', 'content-range', 'range', 'max-forwards', 'location', 'retry-after', 'vary', 'age', 'date',
  'expires', 'forwarded', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'traceparent', 'via', 'x-davy-cause',
]); // biome-ignore format: a list

/** The trailer lines that may be forwarded, as octets with their CRLFs. */
export function forwardableTrailers(octets: number[]): Buffer {
  if (octets.length === 0) return Buffer.alloc(0);
  const lines = Buffer.from(octets).toString('latin1').split('\r\n');
  const kept = lines.filter(
    (line) => line !== '' && !FORBIDDEN_TRAILERS.has(line.slice(0, line.indexOf(':')).toLowerCase()),
  );
  return Buffer.from(kept.map((line) => `${line}\r\n`).join(''), 'latin1');
}

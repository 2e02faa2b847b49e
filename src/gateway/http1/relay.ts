/**
 * Body octets on their way through: decoded by a BodyReader, put into our own framing again. Chunks are never passed raw
 * (RFC 9112 section 7.1): what a reader after us sees was written by us.
 */
import { scratch } from '../net/scratch.ts';
import { type BodyReader, type BodySink, forwardableTrailers } from './body.ts';
import { writeHex } from './bytes.ts';

/** Room before the data for a size line: 8 hex digits and CRLF. */
const SIZE_ROOM = 10;

/** Gathers the data of one `feed` in the scratch buffer. */
class Gatherer implements BodySink {
  at = 0;
  bodyData(buf: Buffer, start: number, end: number): void {
    scratch().set(buf.subarray(start, end), this.at);
    this.at += end - start;
  }
}

const gatherer = new Gatherer();

/** What `relayChunks` left in the scratch buffer, and how far it read. */
export const relayed = { start: 0, end: 0, consumed: 0 };

/**
 * Decodes `buf[start, end)` and leaves it in the scratch buffer behind a head of `headLength` octets (which stands at 0), as one
 * chunk, with the end of the body when it was reached; or as plain data when `plain` (a client of HTTP/1.0, whose end is the close).
 * `relayed.start..end` is what to send, the head included.
 */
export function relayChunks(
  body: BodyReader,
  buf: Buffer,
  start: number,
  end: number,
  headLength: number,
  plain: boolean,
): void {
  const dataStart = headLength + (plain ? 0 : SIZE_ROOM);
  gatherer.at = dataStart;
  relayed.consumed = body.feed(buf, start, end, gatherer);
  relayed.start = 0;
  relayed.end = gatherer.at;
  if (!plain) frame(body, headLength, dataStart);
}

function frame(body: BodyReader, headLength: number, dataStart: number): void {
  const to = scratch();
  const length = gatherer.at - dataStart;
  let at = headLength;
  if (length > 0) {
    const digits = length.toString(16).length;
    const sizeStart = dataStart - digits - 2;
    // The head moves up to its body, so that both leave in one piece.
    relayed.start = sizeStart - headLength;
    if (headLength > 0) to.copyWithin(relayed.start, 0, headLength);
    at = writeHex(length, to, sizeStart);
    to[at++] = 13;
    to[at] = 10;
    at = gatherer.at;
    to[at++] = 13;
    to[at++] = 10;
  }
  if (body.done) at = writeLastChunk(body, at);
  relayed.end = at;
}

function writeLastChunk(body: BodyReader, at: number): number {
  const to = scratch();
  to[at++] = 48;
  to[at++] = 13;
  to[at++] = 10;
  const trailers = forwardableTrailers(body.trailers);
  to.set(trailers, at);
  at += trailers.length;
  to[at++] = 13;
  to[at++] = 10;
  return at;
}

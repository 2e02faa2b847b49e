import { BodyReader, type BodySink, BY_CHUNKS, BY_CLOSE, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { type ResponseFraming, writeResponseHead } from '../http1/forward.ts';
import type { Head } from '../http1/head.ts';
import { relayChunks, relayed } from '../http1/relay.ts';
import type { Channel } from '../net/channel.ts';
import { scratch } from '../net/scratch.ts';
import type { Throttle } from './throttle.ts';
import type { Upstream } from './upstream.ts';

const LAST_CHUNK_SIZE = Buffer.from('0\r\n', 'latin1');
const CRLF = Buffer.from('\r\n', 'latin1');
const LAST_CHUNK = Buffer.concat([LAST_CHUNK_SIZE, CRLF]);
const NOTHING: BodySink = { bodyData: () => {} };

/** What the framing towards the client depends on besides the answer's head. */
export interface AnswerContext {
  headOnly: boolean;
  /** The client's minor version. */
  minor: number;
  /** The client speaks HTTP/2. */
  isStream: boolean;
  /** The trailers matter more to a client of HTTP/1.1 than the length, where it can have one of the two. */
  needsTrailers: boolean;
  close: boolean;
  /** Further header lines. */
  extra: Buffer | null;
}

/** Sends an answer on to the client, in our own framing: head and first octets in one write, the rest as it comes. */
export class AnswerRelay {
  readonly body = new BodyReader();
  readonly framing: ResponseFraming = {
    dropLength: false,
    chunked: false,
    close: false,
    sayKeepAlive: false,
    webSocket: false,
    extra: null,
  };
  private readonly client: Channel;
  /** Set: the answer's octets go through it while its fault lasts (`bandwidth`). */
  throttle: Throttle | null = null;
  private upstream: Upstream | null = null;

  constructor(client: Channel) {
    this.client = client;
  }

  /** RFC 9112 section 6.3. Returns the index after the octets used, or -1 when the body is malformed. */
  begin(upstream: Upstream, head: Head, buf: Buffer, end: number, context: AnswerContext): number {
    this.upstream = upstream;
    const kind = bodyKind(head, context.headOnly);
    this.body.begin(kind, head.contentLength);
    const { framing } = this;
    const chunkable = kind === BY_CHUNKS || kind === BY_CLOSE;
    // Of an HTTP/2 answer: content with a length, and perhaps trailers. HTTP/1.1 frames it one way or the other.
    const sized = chunkable && head.contentLength >= 0 && (context.isStream || !context.needsTrailers);
    framing.chunked = chunkable && context.minor === 1 && (context.isStream || !sized);
    framing.dropLength = (chunkable && !sized) || head.status === 204;
    framing.close = context.close || (chunkable && !sized && context.minor === 0);
    framing.sayKeepAlive = context.minor === 0 && !framing.close;
    framing.webSocket = false;
    framing.extra = context.extra;
    const headEnd = writeResponseHead(head, buf, scratch(), 0, framing);
    return this.relayFirst(upstream, buf, head.end, end, headEnd);
  }

  /** A head without a body: an interim answer, or 101. */
  bodyless(head: Head, buf: Buffer, webSocket: boolean): void {
    const { framing } = this;
    framing.dropLength = true;
    framing.chunked = framing.close = framing.sayKeepAlive = false;
    framing.webSocket = webSocket;
    framing.extra = null;
    this.client.writeScratch(0, writeResponseHead(head, buf, scratch(), 0, framing));
  }

  private get reframes(): boolean {
    return this.framing.chunked || this.body.kind === BY_CHUNKS;
  }

  private relayFirst(upstream: Upstream, buf: Buffer, start: number, end: number, headEnd: number): number {
    const { body } = this;
    let next = start;
    let from = 0;
    let until = headEnd;
    if (this.reframes) {
      relayChunks(body, buf, start, end, headEnd, !this.framing.chunked);
      if (body.failed) return -1;
      next = relayed.consumed;
      from = relayed.start;
      until = relayed.end;
    } else if (!body.done) {
      const take = body.kind === BY_CLOSE ? end : Math.min(end, start + body.remaining);
      scratch().set(buf.subarray(start, take), headEnd);
      until = headEnd + take - start;
      next = body.feed(buf, start, take, NOTHING);
    }
    if (!this.send(from, until)) upstream.channel.pause();
    return next;
  }

  /** More octets. Returns as `begin` does. */
  feed(upstream: Upstream, buf: Buffer, start: number, end: number): number {
    const { body } = this;
    if (!this.reframes) return body.feed(buf, start, end, this.plain);
    relayChunks(body, buf, start, end, 0, !this.framing.chunked);
    if (body.failed) return -1;
    if (relayed.end > relayed.start && !this.send(relayed.start, relayed.end)) upstream.channel.pause();
    return relayed.consumed;
  }

  private readonly plain: BodySink = {
    bodyData: (buf, start, end) => {
      const { channel } = this.upstream as Upstream;
      const { slow } = this;
      const more = slow === null ? this.client.forwardFrom(channel, buf, start, end) : slow.push(buf, start, end);
      if (!more) channel.pause();
    },
  };

  private get slow(): Throttle | null {
    return this.throttle === null || this.throttle.isOver ? null : this.throttle;
  }

  /** Sends octets of the scratch buffer, at the pace of a fault if there is one. False: the upstream must wait. */
  private send(start: number, end: number): boolean {
    const { slow } = this;
    if (slow !== null) return slow.push(scratch(), start, end);
    return this.client.writeScratch(start, end);
  }

  /**
   * The upstream closed. Whether that ends the answer as it should; a truncated one is never completed for the client
   * (RFC 9112 section 8).
   */
  endedByClose(cleanly: boolean): boolean {
    if (this.body.kind !== BY_CLOSE || !cleanly) return false;
    if (this.framing.chunked) {
      scratch().set(LAST_CHUNK, 0);
      this.send(0, LAST_CHUNK.length);
    }
    return true;
  }

  /**
   * Ends an answer in chunks before its time, with trailers of ours: what went out so far are whole chunks. False: its framing has no place for
   * trailers, it has told a length, or a fault holds octets of it back.
   */
  endEarly(trailers: Buffer): boolean {
    if (!this.framing.chunked || !this.framing.dropLength || this.slow !== null) return false;
    this.client.writeStable(Buffer.concat([LAST_CHUNK_SIZE, trailers, CRLF]));
    return true;
  }

  /** Calls back once a throttle, if any, has let everything out. */
  whenSent(callback: () => void): void {
    if (this.throttle === null) callback();
    else this.throttle.whenEmpty(callback);
  }

  close(): void {
    this.throttle?.stop();
    this.throttle = this.upstream = null;
  }
}

function bodyKind(head: Head, headOnly: boolean): number {
  if (headOnly || head.status === 204 || head.status === 304) return NO_BODY;
  if (head.chunked) return BY_CHUNKS;
  return head.contentLength >= 0 ? BY_LENGTH : BY_CLOSE;
}

/**
 * A client's HTTP/2 stream, as the HTTP/1.1 connection that the gateway's core understands: the documented slow path. The core parses what
 * this file writes like anything else that comes from outside, so HTTP/2 opens no second way around its checks.
 */
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { BodyReader, BY_CHUNKS, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { DONE, Head, MORE, parseResponseHead } from '../http1/head.ts';
import { chunkOf, fieldsOf, linesOf, trailerFieldsOf } from './fields.ts';
import type { FrameScan } from './frame-scan.ts';

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_PROTOCOL_ERROR } = http2.constants;

/** Methods whose content has no meaning (RFC 9110 sections 9.3.1, 9.3.2, 9.3.5, 9.3.7 and 9.3.8): as a rule there is none. */
const WITHOUT_CONTENT: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE']);
const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n';

/** A request as node:http2 tells of it. */
export interface StreamRequest {
  headers: http2.IncomingHttpHeaders;
  /** Names and values in turn, as they came. */
  raw: readonly string[];
  /** The head is all of it. */
  endStream: boolean;
  /** What the client sent, as far as node:http2 does not tell. */
  scan: FrameScan;
  remoteAddress: string | undefined;
}

export class ClientPipe extends Duplex {
  readonly remoteAddress: string | undefined;
  private readonly stream: http2.ServerHttp2Stream;
  private readonly headOnly: boolean;
  private readonly head = new Head({ written: true });
  private readonly body = new BodyReader();
  private pending = Buffer.alloc(0);
  private headDone = false;

  constructor(stream: http2.ServerHttp2Stream, request: StreamRequest) {
    super({ allowHalfOpen: true });
    this.stream = stream;
    this.remoteAddress = request.remoteAddress;
    const method = request.headers[':method'];
    this.headOnly = method === 'HEAD';
    const lines = requestLines(request);
    // CONNECT has no content; what its stream carries belongs to the tunnel that is refused (RFC 9113 section 8.5).
    if (request.endStream || method === 'CONNECT') {
      this.pushText(`${lines}\r\n`);
      stream.resume();
    } else {
      // An empty DATA frame may end the stream: whether there is content shows when some comes, unless the client waits for a word before.
      const waits = WITHOUT_CONTENT.has(method) && request.headers.expect === undefined;
      this.pushText(waits ? lines : lines + CHUNKED);
      this.readFrom(stream, request.scan, waits);
    }
    for (const end of ['aborted', 'close']) stream.on(end, () => this.destroy());
  }

  /** `headOpen`: the head that was pushed lacks its last lines. */
  private readFrom(stream: http2.ServerHttp2Stream, scan: FrameScan, headOpen: boolean): void {
    const id = stream.id as number;
    let rest = headOpen ? CHUNKED : '';
    let trailers = '';
    stream.on('data', (data: Buffer) => {
      if (rest !== '') this.pushText(rest);
      rest = '';
      if (!this.push(chunkOf(data))) stream.pause();
    });
    stream.on('trailers', (_trailers, _flags, raw) => {
      trailers = linesOf(raw);
    });
    stream.on('end', () => {
      // A stream that was let go of also ends: only a whole request is completed.
      if (scan.isMalformed(id)) stream.close(NGHTTP2_PROTOCOL_ERROR);
      else if (scan.hasEnded(id))
        this.pushText(rest !== '' && trailers === '' ? '\r\n' : `${rest}0\r\n${trailers}\r\n`);
    });
  }

  private pushText(text: string): void {
    this.push(Buffer.from(text, 'latin1'));
  }

  override _read(): void {
    this.stream.resume();
  }

  /** Answers of the core: HTTP/1.1 octets that this gateway wrote itself. */
  override _write(octets: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    let data: Buffer | null;
    try {
      data = this.takeHeads(this.pending.length > 0 ? Buffer.concat([this.pending, octets]) : octets);
    } catch (error) {
      callback(error as Error);
      return;
    }
    if (data === null) callback();
    else this.sendBody(data, callback);
  }

  /** Sends the heads that `data` begins with. Returns what follows them; null while a head is not complete. Throws when one cannot be sent. */
  private takeHeads(data: Buffer): Buffer | null {
    let rest = data;
    while (!this.headDone && rest.length > 0) {
      const result = parseResponseHead(this.head, rest, 0, rest.length);
      if (result === MORE) {
        this.pending = Buffer.from(rest);
        return null;
      }
      if (result !== DONE || this.stream.destroyed) throw new Error('the answer cannot be sent over HTTP/2');
      this.sendHead(rest);
      rest = rest.subarray(this.head.end);
    }
    this.pending = Buffer.alloc(0);
    return rest;
  }

  private sendHead(data: Buffer): void {
    const { status, chunked, contentLength } = this.head;
    const fields = fieldsOf(this.head, data);
    fields[':status'] = status;
    if (status < 200) {
      this.stream.additionalHeaders(fields);
      return;
    }
    this.headDone = true;
    const bodyless = this.headOnly || status === 204 || status === 304 || (contentLength === 0 && !chunked);
    this.body.begin(bodyless ? NO_BODY : chunked ? BY_CHUNKS : BY_LENGTH, contentLength);
    const waitForTrailers = this.body.kind === BY_CHUNKS;
    this.stream.respond(fields, { endStream: bodyless, waitForTrailers });
    if (waitForTrailers) this.stream.on('wantTrailers', () => this.sendTrailers());
  }

  private sendTrailers(): void {
    try {
      this.stream.sendTrailers(trailerFieldsOf(this.body.trailers));
    } catch {
      this.stream.close(NGHTTP2_INTERNAL_ERROR);
    }
  }

  private sendBody(data: Buffer, callback: (error?: Error | null) => void): void {
    const pieces: Buffer[] = [];
    this.body.feed(data, 0, data.length, {
      bodyData: (buf, start, end) => pieces.push(Buffer.from(buf.subarray(start, end))),
    });
    const done = this.headDone && this.body.done;
    const payload = Buffer.concat(pieces);
    if (this.stream.destroyed || this.stream.writableEnded) callback();
    else if (done) this.stream.end(payload.length > 0 ? payload : undefined, () => callback());
    else if (payload.length > 0) this.stream.write(payload, () => callback());
    else callback();
  }

  override _final(callback: () => void): void {
    callback();
  }

  override _destroy(_error: Error | null, callback: (error?: Error | null) => void): void {
    // An answer that broke off is never completed (RFC 9113 section 8.1: a stream error).
    if (!this.stream.closed && !this.stream.writableEnded) {
      this.stream.close(this.headDone ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL);
    }
    callback();
  }
}

/** The head in HTTP/1.1 without the line that frames its content, and without the empty line after it. */
function requestLines({ headers, raw }: StreamRequest): string {
  const host = headers[':authority'] ?? headers.host ?? '';
  const target = headers[':method'] === 'CONNECT' ? host : headers[':path'];
  return `${headers[':method']} ${target} HTTP/1.1\r\nHost: ${host}\r\n${linesOf(raw)}`;
}

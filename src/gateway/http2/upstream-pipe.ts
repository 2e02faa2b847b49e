/**
 * An HTTP/2 stream to an instance, as the HTTP/1.1 connection that the gateway's core understands. Octets, the end of the answer and the end
 * of the stream reach the core in the order in which they came: an end waits behind what the core has not read yet.
 */
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import type { HostAddress } from '../../lib/host-address.ts';
import { BodyReader, BY_CHUNKS, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { DONE, Head, MORE, parseRequestHead } from '../http1/head.ts';
import { M } from '../http1/names.ts';
import { chunkOf, fieldsOf, linesOf, trailerFieldsOf } from './fields.ts';
import { type SessionUser, UpstreamSession } from './upstream-session.ts';

const {
  NGHTTP2_CANCEL,
  NGHTTP2_FLAG_END_STREAM,
  NGHTTP2_INTERNAL_ERROR,
  NGHTTP2_PROTOCOL_ERROR,
  NGHTTP2_REFUSED_STREAM,
} = http2.constants;

/**
 * Codes of errors which say that the instance has not worked on the request, so that it may be sent again, whatever it asks for (RFC 9113 section
 * 8.7). `leaving`: the stream came after the last one that the instance takes on this connection (GOAWAY); `refused`: it takes this one not.
 */
export const unprocessed = { leaving: 'DAVY_H2_LEAVING', refused: 'DAVY_H2_REFUSED' } as const;

/** Neither a status line nor the size of a chunk. */
const NO_HTTP = '!\r\n';

export class UpstreamPipe extends Duplex implements SessionUser {
  private readonly host: HostAddress;
  private readonly port: number;
  private session: UpstreamSession;
  private stream: http2.ClientHttp2Stream | null = null;
  private readonly head = new Head({ written: true });
  private readonly body = new BodyReader();
  private pending = Buffer.alloc(0);
  /** Of the answer. */
  private answered = false;
  private chunked = false;
  private takingRest = false;
  /** Something of an answer came, an interim one too. */
  private processed = false;
  /** The session was in use before. */
  readonly isKept: boolean;
  private readonly onConnect: () => void;

  /** `onConnect` is called once the session can carry streams; never when it cannot be opened. */
  constructor(host: HostAddress, port: number, onConnect: () => void) {
    super({ allowHalfOpen: true });
    this.host = host;
    this.port = port;
    this.onConnect = onConnect;
    this.session = UpstreamSession.to(host, port);
    this.isKept = this.session.isOpen;
    this.session.join(this);
  }

  onSession(): void {
    // It may have been closed since: nothing was sent, so that another one will do.
    if (this.session.isOpen) this.onConnect();
    else this.changeSession();
  }

  private changeSession(): void {
    this.session.leave(this);
    this.session = UpstreamSession.to(this.host, this.port);
    this.session.join(this);
  }

  onSessionFailed(error: Error | undefined): void {
    this.destroy(error);
  }

  /** The request, in the framing of our own core. */
  override _write(octets: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    let data = this.pending.length > 0 ? Buffer.concat([this.pending, octets]) : octets;
    if (this.stream === null) {
      const result = parseRequestHead(this.head, data, 0, data.length);
      if (result === MORE) {
        this.pending = Buffer.from(data);
        callback();
        return;
      }
      try {
        if (result !== DONE) throw new Error('the request cannot be sent over HTTP/2');
        this.stream = this.open(data);
      } catch (error) {
        callback(error as Error);
        return;
      }
      data = data.subarray(this.head.end);
      this.pending = Buffer.alloc(0);
    }
    this.sendBody(this.stream, data, callback);
  }

  private open(data: Buffer): http2.ClientHttp2Stream {
    const { head } = this;
    const text = (start: number | undefined, end: number | undefined) => data.toString('latin1', start, end);
    this.body.begin(head.chunked ? BY_CHUNKS : head.contentLength > 0 ? BY_LENGTH : NO_BODY, head.contentLength);
    const fields = fieldsOf(head, data);
    fields[':method'] = text(head.start, head.methodEnd);
    fields[':path'] = text(head.targetStart, head.targetEnd);
    fields[':scheme'] = 'http';
    fields[':authority'] = text(head.valueStart[head.hostAt], head.valueEnd[head.hostAt]);
    // gRPC over HTTP/2 requires it; it is the one value that HTTP/2 allows.
    fields.te = 'trailers';
    const stream = this.session.request(fields, { endStream: this.body.done, waitForTrailers: head.chunked });
    stream.on('wantTrailers', () => this.sendTrailers(stream));
    this.readFrom(stream);
    return stream;
  }

  private sendTrailers(stream: http2.ClientHttp2Stream): void {
    try {
      stream.sendTrailers(trailerFieldsOf(this.body.trailers));
    } catch {
      stream.close(NGHTTP2_INTERNAL_ERROR);
    }
  }

  private readFrom(stream: http2.ClientHttp2Stream): void {
    stream.on('headers', (headers, _flags, raw) => {
      this.processed = true;
      if (!this.refuseMalformed(stream)) this.pushText(`HTTP/1.1 ${headers[':status']} \r\n${linesOf(raw)}\r\n`);
    });
    stream.on('response', (headers, flags, raw) => {
      this.processed = true;
      if (this.refuseMalformed(stream)) return;
      this.pushHead(headers, raw, (flags & NGHTTP2_FLAG_END_STREAM) !== 0);
      // Not before: content must not come ahead of its head.
      this.readContent(stream);
    });
    stream.on('error', () => {});
    stream.on('close', () => this.onStreamClosed(stream));
  }

  private onStreamClosed(stream: http2.ClientHttp2Stream): void {
    this.session.scan.forget(stream.id ?? 0);
    // Behind the octets that the core has not read; after an end that was told already it says nothing.
    if (this.processed) this.push(null);
    else if (this.session.leavesOut(stream)) this.notProcessed(unprocessed.leaving);
    else if (stream.rstCode === NGHTTP2_REFUSED_STREAM) this.notProcessed(unprocessed.refused);
    else this.push(null);
  }

  private notProcessed(code: string): void {
    this.destroy(Object.assign(new Error('the instance has not worked on the request'), { code }));
  }

  private readContent(stream: http2.ClientHttp2Stream): void {
    let trailers = '';
    this.answered = true;
    stream.on('trailers', (_trailers, _flags, raw) => {
      if (!this.refuseMalformed(stream)) trailers = linesOf(raw);
    });
    stream.on('data', (data: Buffer) => {
      if (!this.push(this.chunked ? chunkOf(data) : data) && !this.takingRest) stream.pause();
    });
    stream.on('end', () => {
      // A stream that was let go of also ends, even without an error: only a whole answer is completed (RFC 9113 section 8.1).
      if (this.chunked && this.session.scan.hasEnded(stream.id ?? 0)) this.pushText(`0\r\n${trailers}\r\n`);
      this.push(null);
    });
  }

  /** Whether a field of the answer was malformed: then the core gets what it takes for that, and the stream is reset (RFC 9113 section 8.1.1). */
  private refuseMalformed(stream: http2.ClientHttp2Stream): boolean {
    if (!this.session.scan.isMalformed(stream.id ?? 0)) return false;
    this.pushText(NO_HTTP);
    stream.close(NGHTTP2_PROTOCOL_ERROR);
    return true;
  }

  private pushText(text: string): void {
    this.push(Buffer.from(text, 'latin1'));
  }

  /** Framed in chunks unless it has no content: only those have room for trailers. A length that it declares stays beside them. */
  private pushHead(headers: http2.IncomingHttpHeaders, raw: readonly string[], ended: boolean): void {
    const status = Number(headers[':status']);
    const bodyless = this.head.method === M.head || status === 204 || status === 304;
    this.chunked = !ended && !bodyless;
    const noContent = ended && !bodyless && headers['content-length'] === undefined;
    const framing = this.chunked ? 'Transfer-Encoding: chunked\r\n' : noContent ? 'Content-Length: 0\r\n' : '';
    this.pushText(`HTTP/1.1 ${status} \r\n${linesOf(raw)}${framing}Connection: close\r\n\r\n`);
  }

  takeRest(): void {
    const { stream } = this;
    this.takingRest = true;
    while (stream !== null && stream.read() !== null);
  }

  private sendBody(stream: http2.ClientHttp2Stream, data: Buffer, callback: (error?: Error | null) => void): void {
    const pieces: Buffer[] = [];
    this.body.feed(data, 0, data.length, {
      bodyData: (buf, start, end) => pieces.push(Buffer.from(buf.subarray(start, end))),
    });
    const payload = Buffer.concat(pieces);
    if (stream.destroyed || stream.writableEnded) callback();
    else if (this.body.done) stream.end(payload.length > 0 ? payload : undefined, () => callback());
    else if (payload.length > 0) stream.write(payload, () => callback());
    else callback();
  }

  override _read(): void {
    // Before its head is here nobody would take the content.
    if (this.answered) this.stream?.resume();
  }

  override _final(callback: () => void): void {
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.session.leave(this);
    if (this.stream !== null && !this.stream.closed) this.stream.close(NGHTTP2_CANCEL);
    callback(error);
  }
}

/**
 * A client's HTTP/2 stream, as the HTTP/1.1 connection that the gateway's core understands: the documented slow path. The core parses what
 * this file writes like anything else that comes from outside, so HTTP/2 opens no second way around its checks.
 */
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { BodyReader, BY_CHUNKS, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { DONE, Head, MORE, parseResponseHead } from '../http1/head.ts';
import { chunkOf, fieldsOf, linesOf, trailerFieldsOf } from './fields.ts';

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR } = http2.constants;

export class ClientPipe extends Duplex {
  readonly remoteAddress: string | undefined;
  private readonly stream: http2.ServerHttp2Stream;
  private readonly headOnly: boolean;
  private readonly head = new Head({ written: true });
  private readonly body = new BodyReader();
  private pending = Buffer.alloc(0);
  private headDone = false;
  private requestTrailers = '';
  private readonly chunked: boolean;

  constructor(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, endStream: boolean) {
    super({ allowHalfOpen: true });
    this.stream = stream;
    this.remoteAddress = stream.session?.socket?.remoteAddress;
    this.headOnly = headers[':method'] === 'HEAD';
    // CONNECT has no content; what its stream carries belongs to the tunnel that is refused (RFC 9113 section 8.5).
    const connect = headers[':method'] === 'CONNECT';
    this.chunked = !connect && !endStream && headers['content-length'] === undefined;
    this.push(Buffer.from(requestText(headers, this.chunked), 'latin1'));
    if (connect) stream.resume();
    else this.readFrom(stream, endStream);
    for (const end of ['aborted', 'close']) stream.on(end, () => this.destroy());
    stream.on('error', () => {});
  }

  private readFrom(stream: http2.ServerHttp2Stream, endStream: boolean): void {
    stream.on('data', (data: Buffer) => {
      if (!this.push(this.chunked ? chunkOf(data) : data)) stream.pause();
    });
    stream.on('trailers', (trailers) => {
      this.requestTrailers = linesOf(trailers);
    });
    stream.on('end', () => {
      if (this.chunked && !endStream) this.push(Buffer.from(`0\r\n${this.requestTrailers}\r\n`, 'latin1'));
    });
  }

  override _read(): void {
    this.stream.resume();
  }

  /** Answers of the core: HTTP/1.1 octets that this gateway wrote itself. */
  override _write(octets: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    let data = this.pending.length > 0 ? Buffer.concat([this.pending, octets]) : octets;
    while (!this.headDone && data.length > 0) {
      const result = parseResponseHead(this.head, data, 0, data.length);
      if (result === MORE) {
        this.pending = Buffer.from(data);
        callback();
        return;
      }
      if (result !== DONE || this.stream.destroyed) {
        callback(new Error('the answer cannot be sent over HTTP/2'));
        return;
      }
      this.sendHead(data);
      data = data.subarray(this.head.end);
    }
    this.pending = Buffer.alloc(0);
    this.sendBody(data, callback);
  }

  private sendHead(data: Buffer): void {
    const fields = fieldsOf(this.head, data);
    const { status } = this.head;
    if (status < 200) {
      this.stream.additionalHeaders({ ':status': status, ...fields });
      return;
    }
    this.headDone = true;
    const bodyless = this.headOnly || status === 204 || status === 304 || this.head.contentLength === 0;
    const kind = bodyless ? NO_BODY : this.head.chunked ? BY_CHUNKS : BY_LENGTH;
    this.body.begin(kind, this.head.contentLength);
    this.stream.respond({ ':status': status, ...fields }, { endStream: bodyless, waitForTrailers: kind === BY_CHUNKS });
    this.stream.on('wantTrailers', () => this.stream.sendTrailers(trailerFieldsOf(this.body.trailers)));
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

function requestText(headers: http2.IncomingHttpHeaders, chunked: boolean): string {
  const host = headers[':authority'] ?? headers.host ?? '';
  const cookie = headers.cookie === undefined ? '' : `cookie: ${headers.cookie}\r\n`;
  const { cookie: _cookie, ...others } = headers;
  const framing = chunked ? 'Transfer-Encoding: chunked\r\n' : '';
  const target = headers[':method'] === 'CONNECT' ? host : headers[':path'];
  return `${headers[':method']} ${target} HTTP/1.1\r\nHost: ${host}\r\n${linesOf(others)}${cookie}${framing}\r\n`;
}

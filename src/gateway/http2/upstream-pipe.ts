/**
 * An HTTP/2 stream to an instance, as the HTTP/1.1 connection that the gateway's core understands. Sessions (cleartext,
 * prior knowledge: RFC 9113 section 3.3) are kept per instance address and shared by its streams.
 */
import http2 from 'node:http2';
import { Duplex } from 'node:stream';
import { BodyReader, BY_CHUNKS, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { DONE, Head, MORE, parseRequestHead } from '../http1/head.ts';
import { chunkOf, fieldsOf, linesOf, trailerFieldsOf } from './fields.ts';

/** One session per instance address; the last use decides when an idle one is closed. */
const sessions = new Map<string, http2.ClientHttp2Session>();
const SESSION_IDLE_MS = 30_000;

function sessionTo(host: string, port: number): http2.ClientHttp2Session {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const known = sessions.get(address);
  if (known !== undefined && !known.closed && !known.destroyed) return known;
  const session = http2.connect(`http://${address}`);
  sessions.set(address, session);
  const forget = () => {
    if (sessions.get(address) === session) sessions.delete(address);
  };
  session.on('error', () => {});
  session.on('close', forget);
  session.on('goaway', () => {
    forget();
    session.close();
  });
  session.setTimeout(SESSION_IDLE_MS, () => session.close());
  session.unref();
  return session;
}

export class UpstreamPipe extends Duplex {
  private readonly session: http2.ClientHttp2Session;
  private stream: http2.ClientHttp2Stream | null = null;
  private readonly head = new Head({ written: true });
  private readonly body = new BodyReader();
  private pending = Buffer.alloc(0);
  private chunked = false;
  private trailers = '';
  private readonly onConnect: () => void;

  /** `onConnect` is called once the session can carry streams; never when it cannot be opened. */
  constructor(host: string, port: number, onConnect: () => void) {
    super({ allowHalfOpen: true });
    this.onConnect = onConnect;
    this.session = sessionTo(host, port);
    this.session.once('close', this.onSessionClosed);
    if (this.session.connecting) this.session.once('connect', this.connected);
    else setImmediate(this.connected);
  }

  private readonly connected = (): void => {
    if (!this.destroyed) this.onConnect();
  };

  private readonly onSessionClosed = (): void => {
    this.destroy();
  };

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
      if (result !== DONE) {
        callback(new Error('the request cannot be sent over HTTP/2'));
        return;
      }
      this.open(data);
      data = data.subarray(this.head.end);
      this.pending = Buffer.alloc(0);
    }
    this.sendBody(data, callback);
  }

  private open(data: Buffer): void {
    const { head } = this;
    const text = (start: number | undefined, end: number | undefined) => data.toString('latin1', start, end);
    this.body.begin(head.chunked ? BY_CHUNKS : head.contentLength > 0 ? BY_LENGTH : NO_BODY, head.contentLength);
    const stream = this.session.request(
      {
        ':method': text(head.start, head.methodEnd),
        ':path': text(head.targetStart, head.targetEnd),
        ':scheme': 'http',
        ':authority': text(head.valueStart[head.hostAt], head.valueEnd[head.hostAt]),
        // gRPC over HTTP/2 requires it; it is the one value that HTTP/2 allows.
        te: 'trailers',
        ...fieldsOf(head, data),
      },
      { endStream: this.body.done, waitForTrailers: head.chunked },
    );
    this.stream = stream;
    stream.on('wantTrailers', () => stream.sendTrailers(trailerFieldsOf(this.body.trailers)));
    this.readFrom(stream);
  }

  private readFrom(stream: http2.ClientHttp2Stream): void {
    stream.on('headers', (headers) =>
      this.push(Buffer.from(`HTTP/1.1 ${headers[':status']} \r\n${linesOf(headers)}\r\n`, 'latin1')),
    );
    stream.on('response', (headers, flags) =>
      this.pushHead(headers, (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0),
    );
    stream.on('trailers', (trailers) => {
      this.trailers = linesOf(trailers);
    });
    stream.on('data', (data: Buffer) => {
      if (!this.push(this.chunked ? chunkOf(data) : data)) stream.pause();
    });
    stream.on('end', () => {
      // A stream that was reset also ends: only a whole answer is completed.
      if (this.chunked && stream.rstCode === http2.constants.NGHTTP2_NO_ERROR && !stream.aborted) {
        this.push(Buffer.from(`0\r\n${this.trailers}\r\n`, 'latin1'));
      }
    });
    stream.on('error', () => this.destroy());
    stream.on('close', () => this.destroy());
  }

  private pushHead(headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader, ended: boolean): void {
    const status = headers[':status'] ?? 502;
    const bodyless = status === 204 || status === 304;
    const hasLength = headers['content-length'] !== undefined;
    this.chunked = !ended && !hasLength && !bodyless;
    const framing = this.chunked
      ? 'Transfer-Encoding: chunked\r\n'
      : ended && !hasLength && !bodyless
        ? 'Content-Length: 0\r\n'
        : '';
    this.push(Buffer.from(`HTTP/1.1 ${status} \r\n${linesOf(headers)}${framing}Connection: close\r\n\r\n`, 'latin1'));
  }

  private sendBody(data: Buffer, callback: (error?: Error | null) => void): void {
    const stream = this.stream as http2.ClientHttp2Stream;
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
    this.stream?.resume();
  }

  override _final(callback: () => void): void {
    callback();
  }

  override _destroy(_error: Error | null, callback: (error?: Error | null) => void): void {
    this.session.off('close', this.onSessionClosed);
    this.session.off('connect', this.connected);
    if (this.stream !== null && !this.stream.closed) this.stream.close(http2.constants.NGHTTP2_CANCEL);
    callback();
  }
}

import http2 from 'node:http2';
import type net from 'node:net';
import type { Duplex } from 'node:stream';
import { limits } from '../limits.ts';
import { ClientPipe } from './client-pipe.ts';

/** Streams that one client connection may have open at once. */
const MAX_STREAMS = 100;
const MAX_HEADER_BYTES = 32 * 1024;

/** The HTTP/2 server of a listener: never listens itself, is handed connections, and hands on one pipe per stream. */
export class Http2Front {
  private readonly server: http2.Http2Server;
  /** With the names in the client's certificate, null without one. */
  private readonly sessions = new Map<http2.ServerHttp2Session, readonly string[] | null>();
  private accepting: readonly string[] | null = null;

  constructor(onPipe: (pipe: ClientPipe, certified: readonly string[] | null) => void) {
    this.server = http2.createServer({
      maxSendHeaderBlockLength: MAX_HEADER_BYTES,
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEADER_BYTES, enablePush: false },
    });
    this.server.on('session', (session) => {
      if (this.sessions.size >= limits.clientConnections) {
        session.destroy();
        return;
      }
      this.sessions.set(session, this.accepting);
      // Without a stream for this long the connection is idle; streams in progress keep it awake.
      session.setTimeout(limits.clientIdleMs, () => session.close());
      session.on('close', () => this.sessions.delete(session));
    });
    this.server.on('sessionError', () => {});
    this.server.on('stream', (stream, headers, flags) => {
      const pipe = new ClientPipe(stream, headers, (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0);
      onPipe(pipe, (stream.session && this.sessions.get(stream.session as http2.ServerHttp2Session)) ?? null);
    });
  }

  /** `first`: octets that were read already (the preface), put back in front. */
  accept(socket: net.Socket | Duplex, first: Buffer | null, certified: readonly string[] | null): void {
    if (first !== null) (socket as net.Socket).unshift(first);
    // The session is made, and told of, within the call.
    this.accepting = certified;
    this.server.emit('connection', socket);
    this.accepting = null;
  }

  get size(): number {
    return this.sessions.size;
  }

  /**
   * Tells clients to open no more streams; those in progress end in their time. node:http2 does not serve streams that come after its first
   * GOAWAY, whatever id it names, so the first one names the last stream that is served: what comes later is refused, and may be sent
   * again elsewhere (RFC 9113 sections 6.8 and 8.7). The connection closes a moment later, so that nothing is reset meanwhile.
   */
  drain(): void {
    for (const session of this.sessions.keys()) {
      session.goaway(http2.constants.NGHTTP2_NO_ERROR);
      setTimeout(() => session.close(), limits.drainIdleMs).unref();
    }
  }

  destroy(): void {
    for (const session of this.sessions.keys()) session.destroy();
  }
}

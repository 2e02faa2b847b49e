import http2 from 'node:http2';
import { limits } from '../limits.ts';
import type { Channel } from '../net/channel.ts';
import { ClientPipe } from './client-pipe.ts';
import { FrameScan } from './frame-scan.ts';
import { clientPace } from './pace.ts';
import { requestProblem } from './request-check.ts';
import { Wire } from './wire.ts';

const { NGHTTP2_FLAG_END_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } = http2.constants;

/** Streams that one client connection may have open at once. */
const MAX_STREAMS = 100;
const MAX_HEADER_BYTES = 32 * 1024;

/** Of a client connection, as it was when it came. */
export interface Http2Client {
  readonly scheme: 'http' | 'https';
  /** The names in its certificate, null without one. */
  readonly certified: readonly string[] | null;
  readonly remoteAddress: string | undefined;
}

/** What becomes of requests. */
interface FrontUser {
  onPipe(pipe: ClientPipe, client: Http2Client): void;
  /** A request was refused together with its stream. */
  onMalformed(): void;
}

/** The HTTP/2 server of a listener: never listens itself, is handed connections, and hands on one pipe per stream. */
export class Http2Front {
  private readonly server: http2.Http2Server;
  private readonly user: FrontUser;
  private readonly sessions = new Set<http2.ServerHttp2Session>();
  /** Whose session is being made. */
  private accepting!: { client: Http2Client; scan: FrameScan };

  constructor(user: FrontUser) {
    this.user = user;
    this.server = http2.createServer({
      strictSingleValueFields: false,
      settings: { maxConcurrentStreams: MAX_STREAMS, maxHeaderListSize: MAX_HEADER_BYTES, enablePush: false },
    });
    this.server.on('session', (session) => this.onSession(session, this.accepting.client, this.accepting.scan));
    this.server.on('sessionError', () => {});
  }

  private onSession(session: http2.ServerHttp2Session, client: Http2Client, scan: FrameScan): void {
    if (this.sessions.size >= limits.clientConnections) {
      session.destroy();
      return;
    }
    this.sessions.add(session);
    // Without a stream for this long the connection is idle; streams in progress keep it awake.
    session.setTimeout(limits.clientIdleMs, () => session.close());
    session.on('close', () => this.sessions.delete(session));
    session.on('stream', (stream, headers, flags, raw) => {
      const id = stream.id as number;
      // At once: a stream that was reset already tells so by an error.
      stream.on('error', () => {});
      stream.on('close', () => scan.forget(id));
      if (stream.destroyed) return;
      if (scan.isMalformed(id) || requestProblem(headers) !== null) {
        stream.close(NGHTTP2_PROTOCOL_ERROR);
        this.user.onMalformed();
        return;
      }
      const endStream = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
      const request = { headers, raw, endStream, scan, remoteAddress: client.remoteAddress };
      this.user.onPipe(new ClientPipe(stream, request), client);
    });
  }

  /** Takes a connection: `open` hands its octets to the wire, which is returned for those that were read before. */
  accept(client: Http2Client, open: (wire: Wire) => Channel): Wire {
    const scan = new FrameScan('client');
    const wire = new Wire(scan, () => {}, clientPace);
    wire.attach(open(wire));
    // The session is made, and told of, within the call.
    this.accepting = { client, scan };
    this.server.emit('connection', wire);
    return wire;
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
    for (const session of this.sessions) {
      session.goaway(NGHTTP2_NO_ERROR);
      setTimeout(() => session.close(), limits.drainIdleMs).unref();
    }
  }

  destroy(): void {
    for (const session of this.sessions) session.destroy();
  }
}

import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';

export interface H2cUpstream {
  port: number;
  /** The request heads that arrived, in their order. */
  heads: http2.IncomingHttpHeaders[];
  /** Connections that are open. */
  sessions: ReadonlySet<http2.ServerHttp2Session>;
  close(): void;
}

/** An instance that speaks cleartext HTTP/2 and nothing else. `answer` gets each stream, with its fields as they came; `ok` unless given. */
export async function startH2cUpstream(
  answer: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders, raw: readonly string[]) => void = (
    stream,
  ) => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  },
  at: { host?: string; port?: number } = {},
): Promise<H2cUpstream> {
  const heads: http2.IncomingHttpHeaders[] = [];
  const sessions = new Set<http2.ServerHttp2Session>();
  // In megabytes: by default a server of node:http2 refuses streams while 10 MB of answers wait to leave.
  const server = http2.createServer({ maxSessionMemory: 100 });
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, headers, _flags, raw) => {
    stream.on('error', () => {});
    heads.push(headers);
    answer(stream, headers, raw as unknown as string[]);
  });
  server.listen(at.port ?? 0, at.host ?? '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    ...{ heads, sessions },
    close: () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

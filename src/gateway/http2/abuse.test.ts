import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import type net from 'node:net';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  answering,
  countRequests,
  get,
  type Script,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

let gateway: TestGateway;
let upstream: TestUpstream;

async function start(script: Script = answering()): Promise<http2.ClientHttp2Session> {
  upstream = await startUpstream(script);
  gateway = await startGateway({ stable: [upstream] });
  const [one, two] = [gateway, upstream];
  open.push(
    () => two.close(),
    () => one.close(),
  );
  return connect();
}

function connect(): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
  session.on('error', () => {});
  open.push(() => session.destroy());
  return session;
}

const busy = () => {
  const [report] = gateway.engine.reports();
  return report!.endpoints.reduce((sum, { inFlight }) => sum + inFlight, 0) + report!.extras.active_requests!;
};

describe('clients of HTTP/2 that misbehave', () => {
  it('a stream that is reset lets its upstream go', async () => {
    const session = await start(({ socket, answers }) => {
      if (answers === 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc');
    });
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await once(stream, 'data');
    const gone = once(upstream.connections[0]!.socket, 'close');
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await gone;
    await until(() => busy() === 0);
  });

  it('opening and resetting streams at once leaves nothing behind (the shape of CVE-2023-44487)', async () => {
    const session = await start(() => {});
    for (let round = 0; round < 20; round++) {
      const streams = Array.from({ length: 50 }, () => session.request({ ':path': '/' }));
      for (const stream of streams) {
        stream.on('error', () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => busy() === 0 && gateway.engine.reports()[0]!.extras.connections === 0);
    upstream.script = answering();
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
  });

  it('no more streams at once than announced are served', async () => {
    const session = await start(() => {});
    await once(session, 'remoteSettings');
    expect(session.remoteSettings.maxConcurrentStreams).toBe(100);
    expect(session.remoteSettings.enablePush).toBe(false);
    expect(session.remoteSettings.enableConnectProtocol).toBe(false);
    const streams = Array.from({ length: 130 }, () => session.request({ ':path': '/' }));
    for (const stream of streams) stream.on('error', () => {});
    await until(() => upstream.connections.length >= 100);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(upstream.connections.length).toBe(100);
  });

  it.each([
    ['a connection field', { ':path': '/', connection: 'close' }],
    ['a transfer coding', { ':path': '/', 'transfer-encoding': 'chunked' }],
    [
      'extended CONNECT, which was not offered',
      { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', ':scheme': 'http' },
    ],
    ['a line break in the path', { ':path': '/a HTTP/1.1\r\nHost: b\r\n\r\nGET /b' }],
    ['a fragment', { ':path': '/a#b' }],
    ['no path', { ':path': '' }],
  ])('never passes on %s', async (_what, headers) => {
    const session = await start();
    try {
      const stream = session.request(headers as http2.OutgoingHttpHeaders);
      const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      expect(answer[':status']).toBeGreaterThanOrEqual(400);
    } catch (error) {
      // Refused before it left, or by a stream error.
      expect(error).toBeInstanceOf(Error);
    }
    expect(upstream.received()).toBe('');
  });

  it.each([
    [10, 'abc'],
    [3, 'abcdefgh'],
  ])('a body that says %i octets and is another never arrives whole', async (length, body) => {
    const session = await start();
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-length': length });
    stream.on('error', () => {});
    stream.end(body);
    await new Promise((resolve) => stream.once('close', resolve));
    await until(() => busy() === 0);
    expect(upstream.connections.map(({ received }) => countRequests(received).complete)).not.toContain(1);
  });

  it('large bodies go both ways at the pace of a slow reader', async () => {
    const body = Buffer.alloc(8 * 1024 * 1024, 'abcdefghij');
    const echo = http.createServer((request, response) => request.pipe(response)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    open.push(() => echo.close());
    await start();
    const { port } = echo.address() as net.AddressInfo;
    await gateway.apply({ stable: [{ port } as TestUpstream] });
    const stream = connect().request({ ':method': 'POST', ':path': '/' });
    stream.end(body);
    const pieces: Buffer[] = [];
    for await (const piece of stream) {
      pieces.push(piece as Buffer);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(Buffer.concat(pieces).equals(body)).toBe(true);
  });

  it('interim answers and cookies keep their form', async () => {
    const session = await start(
      answering(
        'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 2\r\n\r\nok',
      ),
    );
    const stream = session.request({ ':path': '/', cookie: ['x=1', 'y=2'] });
    const early = once(stream, 'headers');
    const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    expect((await early)[0]).toMatchObject({ ':status': 103, link: '</a>' });
    expect(answer['set-cookie']).toEqual(['a=b', 'c=d']);
    expect(upstream.received()).toMatch(/cookie: x=1; y=2\r\n/);
    stream.resume();
  });
});

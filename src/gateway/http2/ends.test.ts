import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  block,
  connectFrames,
  DATA,
  END_HEADERS,
  END_STREAM,
  type FrameEnd,
  frame,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  requestHead,
  startFrameServer,
} from '../testing/h2-frames.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import { get, startGateway, startUpstream, type TestGateway, type TestUpstream } from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

async function gatewayTo(upstream: { port: number }): Promise<TestGateway> {
  const gateway = await startGateway({ stable: [upstream as TestUpstream], route: { protocol: 'h2c' } });
  open.push(() => gateway.close());
  return gateway;
}

const outcomesOf = (gateway: TestGateway) => gateway.engine.counters().services[0]!.instances[0]!.outcome;

function connect(gateway: TestGateway, initialWindowSize = 65_535): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${gateway.port}`, { settings: { initialWindowSize } });
  session.on('error', () => {});
  open.push(() => session.destroy());
  return session;
}

async function lengthOf(stream: http2.ClientHttp2Stream): Promise<number> {
  let length = 0;
  for await (const piece of stream) length += (piece as Buffer).length;
  return length;
}

describe('a whole answer of an instance that speaks HTTP/2', () => {
  it.each([1, 16_384, 65_535, 65_536, 300_000, 1_000_000])(
    'of %i octets reaches every client whole, many at once',
    async (length) => {
      const body = Buffer.alloc(length, 'x');
      const upstream = await startH2cUpstream((stream) => {
        stream.respond({ ':status': 200 });
        stream.end(body);
      });
      open.push(() => upstream.close());
      const gateway = await gatewayTo(upstream);
      const session = connect(gateway);
      const overHttp2 = Array.from({ length: 20 }, () => lengthOf(session.request({ ':path': '/' })));
      expect(await Promise.all(overHttp2)).toEqual(Array.from({ length: 20 }, () => length));
      const overHttp1 = await Promise.all(Array.from({ length: 5 }, () => gateway.exchange(get())));
      for (const answer of overHttp1) expect(answer.split('x').length - 1).toBe(length);
      await until(() => outcomesOf(gateway).requests === 25);
      expect(outcomesOf(gateway)).toMatchObject({ status2xx: 25, resets: 0 });
    },
  );

  const ENDS: [string, (end: FrameEnd) => void][] = [
    ['closes its connection', (end) => end.socket.end()],
    ['says GOAWAY and closes', (end) => end.socket.end(goaway(0))],
    ['says GOAWAY for an error', (end) => end.send(goaway(11))],
    ['gives up the rest of the request', (end) => end.send(frame(RST_STREAM, 0, 1, Buffer.alloc(4)))],
  ];

  it.each(ENDS)('is not cut for a slow reader when the instance then %s', async (what, leave) => {
    const piece = Buffer.alloc(15_000, 'x');
    const server = await startFrameServer((end, { type, flags, stream }) => {
      if (type !== HEADERS || (flags & END_HEADERS) === 0) return;
      end.send(frame(HEADERS, END_HEADERS, stream, block([[':status', '200']])));
      for (let i = 1; i <= 4; i++) end.send(frame(DATA, i === 4 ? END_STREAM : 0, stream, piece));
      leave(end);
    });
    open.push(() => server.close());
    const gateway = await gatewayTo(server);
    // Room for the first octets only: all others wait in the gateway until they are read.
    const stream = connect(gateway, 100).request({ ':method': 'POST', ':path': '/' });
    stream.end('a');
    await once(stream, 'response');
    await until(() => server.connections[0]!.closed || what.includes('request'));
    expect(await lengthOf(stream)).toBe(60_000);
    await until(() => outcomesOf(gateway).requests === 1);
    expect(outcomesOf(gateway)).toMatchObject({ status2xx: 1, resets: 0 });
  });

  it('of a request that was opened before GOAWAY comes in its time, and the next request goes over another connection', async () => {
    const streams: { end: FrameEnd; stream: number }[] = [];
    const server = await startFrameServer((end, { type, stream }) => {
      if (type !== HEADERS) return;
      streams.push({ end, stream });
      end.send(frame(HEADERS, END_HEADERS, stream, block([[':status', '200']])));
    });
    open.push(() => server.close());
    const gateway = await gatewayTo(server);
    const session = connect(gateway);
    const first = session.request({ ':path': '/1' });
    await once(first, 'response');
    streams[0]!.end.send(goaway(0));
    await until(() => streams[0]!.end.frames.some(({ type }) => type === GOAWAY));
    const second = session.request({ ':path': '/2' });
    await once(second, 'response');
    expect(server.connections).toHaveLength(2);
    for (const { end, stream } of streams) end.send(frame(DATA, END_STREAM, stream, Buffer.from('ok')));
    expect([await lengthOf(first), await lengthOf(second)]).toEqual([2, 2]);
  });
});

describe('an answer that is not whole', () => {
  it.each<[string, (end: FrameEnd, stream: number) => void]>([
    ['closes its connection', (end) => end.socket.end()],
    ['resets the stream', (end, stream) => end.send(frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, 2])))],
    ['resets the stream without an error', (end, stream) => end.send(frame(RST_STREAM, 0, stream, Buffer.alloc(4)))],
    ['says GOAWAY for an error', (end) => end.send(goaway(2))],
  ])('is broken off for the client when the instance %s', async (_what, leave) => {
    const server = await startFrameServer((end, { type, stream }) => {
      if (type !== HEADERS) return;
      end.send(
        frame(HEADERS, END_HEADERS, stream, block([[':status', '200']])),
        frame(DATA, 0, stream, Buffer.from('half')),
      );
      leave(end, stream);
    });
    open.push(() => server.close());
    const gateway = await gatewayTo(server);
    const stream = connect(gateway).request({ ':path': '/' });
    await expect(lengthOf(stream)).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' });
    expect(await gateway.exchange(get())).not.toMatch(/\r\n0\r\n\r\n$/);
    await until(() => outcomesOf(gateway).requests === 2);
    expect(outcomesOf(gateway)).toMatchObject({ status2xx: 0, resets: 2 });
  });
});

describe('a request that is not whole', () => {
  it.each(['POST', 'GET', 'HEAD'])(
    '%s: is never completed for the instance when its stream is reset',
    async (method) => {
      const upstream = await startUpstream(() => {});
      open.push(() => upstream.close());
      const gateway = await startGateway({ stable: [upstream] });
      open.push(() => gateway.close());
      const client = await connectFrames(gateway.port);
      open.push(() => client.socket.destroy());
      client.send(requestHead(1, [[':method', method]], END_HEADERS), frame(DATA, 0, 1, Buffer.from('half')));
      await until(() => upstream.received().endsWith('half\r\n'));
      client.send(frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])));
      await once(upstream.connections[0]!.socket, 'close');
      expect(upstream.received()).toMatch(/4\r\nhalf\r\n$/);
    },
  );
});

describe('a session with an instance', () => {
  it('that the instance closed while it was idle costs no request', async () => {
    const server = await startFrameServer((end, { type, stream }) => {
      if (type === HEADERS) end.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block([[':status', '200']])));
    });
    open.push(() => server.close());
    const gateway = await gatewayTo(server);
    for (let i = 1; i <= 3; i++) {
      expect(await gateway.exchange(get())).toMatch(/^HTTP\/1\.1 200/);
      const connection = server.connections.at(-1)!;
      connection.socket.end();
      await until(() => connection.closed);
      expect(server.connections).toHaveLength(i);
    }
    expect(outcomesOf(gateway)).toMatchObject({ status2xx: 3, resets: 0 });
  });

  it('carries sixty streams at once without a warning', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error) => warnings.push(warning);
    process.on('warning', onWarning);
    open.push(() => process.off('warning', onWarning));
    const waiting: http2.ServerHttp2Stream[] = [];
    const upstream = await startH2cUpstream((stream) => waiting.push(stream));
    open.push(() => upstream.close());
    const session = connect(await gatewayTo(upstream));
    const streams = Array.from({ length: 60 }, () => session.request({ ':path': '/' }));
    await until(() => waiting.length === 60);
    for (const stream of waiting) {
      stream.respond({ ':status': 200 });
      stream.end('ok');
    }
    expect(await Promise.all(streams.map(lengthOf))).toEqual(streams.map(() => 2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });
});

/** The last stream that was worked on is the highest there can be; `code` of RFC 9113 section 7. */
function goaway(code: number): Buffer {
  return frame(GOAWAY, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, code]));
}

import http2 from 'node:http2';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  block,
  connectFrames,
  DATA,
  END_HEADERS,
  END_STREAM,
  type FieldList,
  type FrameEnd,
  frame,
  HEADERS,
  requestHead,
  startFrameServer,
} from '../testing/h2-frames.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import { answering, startGateway, startUpstream, type TestGateway, type TestUpstream } from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

async function start(parts: { canary?: TestUpstream[] } = {}): Promise<{
  gateway: TestGateway;
  upstream: TestUpstream;
  client: FrameEnd;
}> {
  const upstream = await startUpstream();
  const mirror = { version: 'v2', share: 1, maxConcurrent: 10 };
  const gateway = await startGateway({
    stable: [upstream],
    ...(parts.canary === undefined ? {} : { canary: parts.canary, canaryRoute: { weightBp: 0 }, route: { mirror } }),
  });
  open.push(
    () => upstream.close(),
    () => gateway.close(),
  );
  const client = await connectFrames(gateway.port);
  open.push(() => client.socket.destroy());
  return { gateway, upstream, client };
}

const over = (client: FrameEnd, stream = 1) => until(() => client.isOver(stream) || client.closed);
const method = (name: string): FieldList => [[':method', name]];
const bodyOf = (received: string) => received.slice(received.indexOf('\r\n\r\n') + 4);

describe('a request of HTTP/2 to an instance of HTTP/1.1', () => {
  it.each(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])(
    '%s: that an empty DATA frame ends has no content',
    async (name) => {
      const { upstream, client } = await start();
      client.send(requestHead(1, method(name), END_HEADERS), frame(DATA, 0, 1), frame(DATA, END_STREAM, 1));
      await over(client);
      expect(client.resetCode(1)).toBeUndefined();
      expect(upstream.received()).toMatch(new RegExp(`^${name} / HTTP/1\\.1\r\n`));
      expect(upstream.received()).not.toMatch(/transfer-encoding|content-length/i);
      expect(bodyOf(upstream.received())).toBe('');
    },
  );

  it('is copied for a mirror when an empty DATA frame ends it', async () => {
    const shadow = await startUpstream();
    open.push(() => shadow.close());
    const { client } = await start({ canary: [shadow] });
    client.send(requestHead(1, method('GET'), END_HEADERS), frame(DATA, END_STREAM, 1));
    await over(client);
    await until(() => shadow.received().includes('\r\n\r\n'));
    expect(shadow.received()).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: svc-shadow\r\n/);
  });

  it.each(['GET', 'DELETE', 'POST'])('%s: keeps the content that it has', async (name) => {
    const { upstream, client } = await start();
    client.send(
      requestHead(1, method(name), END_HEADERS),
      frame(DATA, 0, 1, Buffer.from('abc')),
      frame(DATA, END_STREAM, 1),
    );
    await over(client);
    expect(client.content(1)).toBe('ok');
    expect(upstream.received()).toMatch(/\r\nTransfer-Encoding: chunked\r\n/);
    expect(bodyOf(upstream.received())).toBe('3\r\nabc\r\n0\r\n\r\n');
  });

  it.each(['GET', 'POST'])('%s: keeps trailers without content', async (name) => {
    const { upstream, client } = await start();
    client.send(
      requestHead(1, method(name), END_HEADERS),
      frame(HEADERS, END_HEADERS | END_STREAM, 1, block([['x-sum', '9']])),
    );
    await over(client);
    expect(client.content(1)).toBe('ok');
    expect(bodyOf(upstream.received())).toBe('0\r\nx-sum: 9\r\n\r\n');
  });

  it('with a length goes on by its length, whatever its method', async () => {
    const { upstream, client } = await start();
    for (const [i, name] of ['POST', 'GET'].entries()) {
      const stream = 2 * i + 1;
      const before = upstream.received().length;
      client.send(requestHead(stream, [...method(name), ['content-length', '5']], END_HEADERS));
      client.send(
        frame(DATA, 0, stream, Buffer.from('ab')),
        frame(DATA, 0, stream, Buffer.from('cd')),
        frame(DATA, END_STREAM, stream, Buffer.from('e')),
      );
      await over(client, stream);
      const text = upstream.received().slice(before);
      expect(text).toMatch(/\r\ncontent-length: 5\r\n/);
      expect(text).not.toMatch(/transfer-encoding/i);
      expect(bodyOf(text)).toBe('abcde');
    }
  });

  it('that may have content goes on at once: its client may wait for the answer before it sends any', async () => {
    const { upstream, client } = await start();
    upstream.script = ({ socket, received, answers }) => {
      if (answers === 0 && received.includes('\r\n\r\n'))
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n');
    };
    client.send(requestHead(1, method('POST'), END_HEADERS));
    await until(() => client.content(1) === 'ok');
    client.send(requestHead(3, [...method('GET'), ['expect', '100-continue']], END_HEADERS));
    await until(() => client.content(3) === 'ok');
  });

  it('that never says whether it has content is given up like any head that does not end', async () => {
    const { gateway, client } = await start();
    client.send(requestHead(1, method('GET'), END_HEADERS));
    const busy = () => gateway.engine.reports()[0]!.extras.connections;
    await until(() => busy() === 1);
    client.socket.destroy();
    await until(() => busy() === 0);
  });
});

describe('from HTTP/2 to HTTP/2', () => {
  it('a length and trailers both arrive, in a request and in its answer', async () => {
    const got: { headers: http2.IncomingHttpHeaders; trailers: http2.IncomingHttpHeaders; content: string }[] = [];
    const upstream = await startH2cUpstream((stream, headers) => {
      let content = '';
      let trailers: http2.IncomingHttpHeaders = {};
      stream.on('data', (piece) => {
        content += piece;
      });
      stream.on('trailers', (fields) => {
        trailers = fields;
      });
      stream.on('end', () => {
        got.push({ headers, trailers, content });
        stream.respond({ ':status': 200, 'content-length': 3 }, { waitForTrailers: true });
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '6' }));
        stream.end('abc');
      });
    });
    open.push(() => upstream.close());
    const gateway = await startGateway({ stable: [upstream as unknown as TestUpstream], route: { protocol: 'h2c' } });
    open.push(() => gateway.close());
    const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
    open.push(() => session.destroy());
    const stream = session.request({ ':method': 'POST', ':path': '/', 'content-length': 5 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-check': '7' }));
    const answer: http2.IncomingHttpHeaders[] = [];
    stream.on('response', (headers) => answer.push(headers));
    stream.on('trailers', (headers) => answer.push(headers));
    stream.end('12345');
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('abc');
    expect(answer).toMatchObject([{ 'content-length': '3' }, { 'x-sum': '6' }]);
    expect(got).toMatchObject([{ headers: { 'content-length': '5' }, trailers: { 'x-check': '7' }, content: '12345' }]);
    // HTTP/1.1 has one or the other.
    const plain = await gateway.exchange(
      'POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi',
    );
    expect(plain).toMatch(/\r\ncontent-length: 3\r\n[\s\S]*\r\n\r\nabc$/);
    expect(plain).not.toMatch(/transfer-encoding/i);
  });

  it('an answer to HEAD has the length that it says, and none that nobody said', async () => {
    let fields: FieldList = [];
    const server = await startFrameServer((end, { type, stream }) => {
      if (type === HEADERS)
        end.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block([[':status', '200'], ...fields])));
    });
    open.push(() => server.close());
    const gateway = await startGateway({ stable: [{ port: server.port } as TestUpstream], route: { protocol: 'h2c' } });
    open.push(() => gateway.close());
    const head = () => gateway.exchange('HEAD / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n');
    expect(await head()).not.toMatch(/content-length|transfer-encoding/i);
    fields = [['content-length', '1234']];
    expect(await head()).toMatch(/\r\ncontent-length: 1234\r\n/);
  });
});

describe('an answer of HTTP/1.1 to a client of HTTP/2', () => {
  it.each<[string, string, string, string | undefined]>([
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', '2', undefined],
    ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', '', undefined],
    [
      'chunks and trailers',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 9\r\n\r\n',
      '',
      '9',
    ],
  ])('with %s keeps them', async (_what, text, length, sum) => {
    const { gateway, upstream } = await start();
    upstream.script = answering(text);
    const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
    open.push(() => session.destroy());
    const stream = session.request({ ':path': '/' });
    const seen: http2.IncomingHttpHeaders[] = [];
    stream.on('response', (headers) => seen.push(headers));
    stream.on('trailers', (headers) => seen.push(headers));
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('ok');
    expect([seen[0]!['content-length'] ?? '', seen[1]?.['x-sum']]).toEqual([length, sum]);
  });
});

import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import {
  answering,
  connectRaw,
  get,
  type RouteParts,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';

let gateway: TestGateway;
let upstream: TestUpstream;

async function start(answer?: string | ((index: number) => string), route: RouteParts['route'] = {}): Promise<void> {
  upstream = await startUpstream(answering(answer));
  gateway = await startGateway({ stable: [upstream], route });
}

afterEach(async () => {
  await gateway.close();
  await upstream.close();
});

const ok = (lines: string, body = '') => `HTTP/1.1 200 OK\r\n${lines}\r\n${body}`;

describe('requests as they are forwarded', () => {
  it('adds Via, X-Forwarded-*, a trace, and drops what belongs to one hop (RFC 9110 7.6.1)', async () => {
    await start();
    await gateway.exchange(
      get(
        '/a',
        'Keep-Alive: 3\r\nTE: trailers\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-A: 1\r\n',
      ),
    );
    const text = upstream.received();
    expect(text).toMatch(
      /^GET \/a HTTP\/1\.1\r\nHost: svc\r\nX-A: 1\r\nX-Forwarded-For: 127\.0\.0\.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: svc\r\nVia: 1\.1 davy\r\ntraceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-00\r\n\r\n$/,
    );
  });

  it('drops what Connection names, but never what frames, routes or traces', async () => {
    await start();
    const trace = 'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n';
    await gateway.exchange(
      `POST / HTTP/1.1\r\nHost: svc\r\nX-Secret: 1\r\n${trace}Content-Length: 2\r\nConnection: close, X-Secret, Host, Content-Length, traceparent\r\n\r\nhi`,
    );
    expect(upstream.received()).not.toContain('X-Secret');
    expect(upstream.received()).toContain(trace);
    expect(upstream.received()).toMatch(/Host: svc\r\n.*Content-Length: 2\r\n.*hi$/s);
  });

  it.each([
    ['00-00000000000000000000000000000000-b7ad6b7169203331-01'],
    ['00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01'],
    ['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331'],
    ['garbage'],
  ])('replaces the invalid traceparent %s, and the tracestate with it', async (value) => {
    await start();
    await gateway.exchange(get('/', `traceparent: ${value}\r\ntracestate: a=b\r\n`));
    expect(upstream.received()).not.toContain(value);
    expect(upstream.received()).not.toContain('tracestate');
    expect(upstream.received().match(/traceparent: 00-/g)).toHaveLength(1);
  });

  it('turns absolute-form into origin-form, and its authority into Host (RFC 9112 3.2.2)', async () => {
    await start();
    await gateway.exchange('GET http://other:81?q HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n');
    expect(upstream.received()).toMatch(/^GET \/\?q HTTP\/1\.1\r\nHost: other:81\r\n/);
    expect(upstream.received()).not.toContain('Host: svc');
  });

  it.each([
    ['OPTIONS', '3', '2'],
    ['TRACE', '1', '0'],
    ['GET', '3', '3'],
    ['OPTIONS', 'x', 'x'],
    ['OPTIONS', '9999999999', '9999999999'],
  ])('counts Max-Forwards of %s down from %s to %s (RFC 9110 7.6.2)', async (method, given, sent) => {
    await start();
    await gateway.exchange(`${method} / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nMax-Forwards: ${given}\r\n\r\n`);
    expect(upstream.received().match(/Max-Forwards: (.*)\r\n/g)).toEqual([`Max-Forwards: ${sent}\r\n`]);
  });

  it.each([
    ['GET', '//a/../b%2F%2e//c?d=/../e', '//a/../b%2F%2e//c?d=/../e'],
    ['GET', '/%41%zz%', '/%41%zz%'],
    ['OPTIONS', '*', '*'],
    ['OPTIONS', 'http://svc', '*'],
    ['OPTIONS', 'http://svc/', '/'],
    ['GET', 'HTTPS://svc//a', '//a'],
  ])(
    'passes the target of %s %s on as %s, never normalised (RFC 3986 6.2.2 is for others)',
    async (method, given, sent) => {
      await start();
      await gateway.exchange(`${method} ${given} HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n`);
      expect(upstream.received().startsWith(`${method} ${sent} HTTP/1.1\r\n`)).toBe(true);
    },
  );

  it('does not forward OPTIONS and TRACE with Max-Forwards: 0', async () => {
    await start();
    for (const method of ['OPTIONS', 'TRACE']) {
      const answer = await gateway.exchange(
        `${method} / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nMax-Forwards: 0\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 501 .*x-davy-cause: bad-request/s);
    }
    expect(upstream.received()).toBe('');
  });

  it('speaks HTTP/1.1 upstream for a client of 1.0, and closes after the answer', async () => {
    await start(ok('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'));
    const answer = await gateway.exchange('GET / HTTP/1.0\r\n\r\n');
    expect(upstream.received()).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: svc\r\n.*Via: 1\.0 davy/s);
    expect(answer).toMatch(/Connection: close\r\n\r\nabc$/);
    expect(answer).not.toContain('chunked');
  });

  it('keeps a connection of 1.0 that asked for it', async () => {
    await start();
    const client = connectRaw(gateway.port);
    client.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    expect(await client.until(/ok$/)).toContain('Connection: keep-alive\r\n');
    client.socket.destroy();
  });

  it('frames chunks anew, drops extensions, keeps harmless trailers', async () => {
    await start();
    await gateway.exchange(
      'POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;ext=1\r\nab\r\n1\r\nc\r\n0\r\nX-T: 1\r\nHost: evil\r\n\r\n',
    );
    expect(upstream.received()).toMatch(/Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n$/);
  });

  it('forwards Expect and the interim answer (RFC 9110 10.1.1)', async () => {
    await start();
    upstream.script = (connection) => {
      if (connection.answers === 0) connection.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      connection.answers = 1;
      if (connection.received.endsWith('hi')) connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    };
    const client = connectRaw(gateway.port);
    client.send(
      'POST / HTTP/1.1\r\nHost: svc\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n',
    );
    await client.until(/100 Continue\r\n.*\r\n\r\n/s);
    client.send('hi');
    expect(await client.closed()).toMatch(/HTTP\/1\.1 200 OK.*ok$/s);
  });
});

describe('answers as they are relayed', () => {
  const rows: [string, string, string, RegExp][] = [
    ['HEAD has no body (RFC 9112 6.3)', 'HEAD', ok('Content-Length: 100\r\n'), /Content-Length: 100\r\n.*\r\n\r\n$/s],
    [
      '204 has no body and no length',
      'GET',
      'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n',
      /^HTTP\/1\.1 204 No Content\r\n(?!.*Content-Length).*\r\n\r\n$/s,
    ],
    [
      '304 keeps its length and has no body',
      'GET',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
      /Content-Length: 9\r\n.*\r\n\r\n$/s,
    ],
    [
      '103 goes before the answer',
      'GET',
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok('Content-Length: 1\r\n', 'x')}`,
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n.*HTTP\/1\.1 200 OK.*x$/s,
    ],
    [
      'a chunked answer is framed anew',
      'GET',
      ok('Transfer-Encoding: chunked\r\n', '1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n'),
      /chunked\r\n.*\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/s,
    ],
    ['an empty reason stays empty', 'GET', 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', /^HTTP\/1\.1 200 \r\n/],
    [
      'an answer of 1.0 is sent on as 1.1',
      'GET',
      'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx',
      /^HTTP\/1\.1 200 OK.*x$/s,
    ],
    [
      'the cause label of another gateway is dropped',
      'GET',
      ok('Content-Length: 0\r\nx-davy-cause: limiter\r\n'),
      /^(?!.*x-davy-cause)/s,
    ],
    ['a Date is added', 'GET', ok('Content-Length: 0\r\n'), /\r\nDate: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r\n/],
  ];
  it.each(rows)('%s', async (_rule, method, answer, expected) => {
    await start(answer);
    expect(await gateway.exchange(`${method} / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n`)).toMatch(expected);
  });

  it('keeps interim answers from a client of 1.0, which knows none (RFC 9110 15.2)', async () => {
    await start(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 E\r\n\r\n${ok('Content-Length: 1\r\n', 'x')}`);
    expect(await gateway.exchange('GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nx$/s);
  });

  it('streams both ways at once when a service answers before it has the whole request', async () => {
    await start();
    upstream.script = (connection) => {
      if (connection.answers++ === 0) connection.socket.write(ok('Content-Length: 4\r\n'));
      connection.socket.write(connection.received.slice(-1));
    };
    const client = connectRaw(gateway.port);
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 3\r\n\r\n');
    await client.until(/Connection: close\r\n\r\n/);
    for (const octet of 'abc') {
      client.send(octet);
      await client.until(new RegExp(`${octet}$`));
    }
    expect(await client.closed()).toMatch(/abc$/);
  });

  it('chunks an answer that ends with its connection, for a client of 1.1', async () => {
    await start();
    upstream.script = ({ socket }) => socket.end('HTTP/1.1 200 OK\r\n\r\nabc');
    const client = connectRaw(gateway.port);
    client.send('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    expect(await client.until(/0\r\n\r\n$/)).toMatch(/Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n$/);
    client.socket.destroy();
  });

  it.each([
    ['not HTTP', 'hello there'],
    ['bare LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['two lengths', ok('Content-Length: 1\r\nContent-Length: 2\r\n', 'ab')],
    ['length beside chunked', ok('Content-Length: 1\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n')],
    [
      '101 that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n',
    ],
    ['a head that never ends', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(40_000)}\r\n\r\n`, 'answer-limit'],
    ['too many interim answers', 'HTTP/1.1 102 P\r\n\r\n'.repeat(11), 'answer-limit'],
  ])(
    'answers 502 when the upstream sends %s, and never uses that connection again',
    async (_what, answer, cause = 'upstream-protocol') => {
      await start(answer);
      const text = await gateway.exchange(get());
      expect(text).toMatch(/HTTP\/1\.1 502 Bad Gateway/);
      expect(text).toContain(`x-davy-cause: ${cause}\r\n`);
      upstream.script = answering();
      expect(statusOf(await gateway.exchange(get()))).toBe(200);
      expect(upstream.connections.length).toBe(2);
    },
  );

  it.each([
    ['one', 'Upgrade: websocket\r\nConnection: Upgrade\r\n', ['\r\nUpgrade: websocket']],
    [
      'several, and Connection says more',
      'Upgrade: HTTP/3.0\r\nUpgrade: websocket\r\nX-Hop: 1\r\nConnection: upgrade, x-hop, close\r\n',
      ['\r\nUpgrade: HTTP/3.0', '\r\nUpgrade: websocket'],
    ],
  ])('a 426 keeps its Upgrade fields: %s (RFC 9110 15.5.22)', async (_what, lines, expected) => {
    await start(`HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n${lines}\r\nno`);
    const text = await gateway.exchange(get());
    expect(text).toMatch(/^HTTP\/1\.1 426 Upgrade Required\r\n.*\r\nConnection: Upgrade\r\n.*no$/s);
    expect(text.match(/\r\nUpgrade: [^\r]+/g)).toEqual(expected);
    expect(text).not.toContain('X-Hop');
  });

  it('any other answer says nothing of an upgrade', async () => {
    await start('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\nok');
    expect(await gateway.exchange(get())).not.toMatch(/upgrade/i);
  });

  it('cuts the client off, rather than completing an answer that broke off (RFC 9112 8)', async () => {
    await start();
    upstream.script = ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
    expect(await gateway.exchange(get())).toMatch(/\r\n\r\nabc$/);
    expect(gateway.engine.counters().services[0]?.instances[0]?.outcome).toMatchObject({
      requests: 1,
      resets: 1,
      status2xx: 0,
    });
    upstream.script = ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    expect(await gateway.exchange(get())).not.toContain('0\r\n\r\n');
  });

  it('throws away octets beyond an answer, with their connection (response-queue poisoning)', async () => {
    await start((index) =>
      index === 0
        ? `${ok('Content-Length: 2\r\n', 'ok')}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`
        : ok('Content-Length: 4\r\n', 'next'),
    );
    const client = connectRaw(gateway.port);
    client.send('GET /1 HTTP/1.1\r\nHost: svc\r\n\r\nGET /2 HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n');
    const text = await client.closed();
    expect(text).not.toContain('evil');
    expect(upstream.connections.length).toBe(2);
  });

  it('throws away an idle connection on which octets arrive', async () => {
    await start();
    await gateway.exchange(get());
    const gone = once(upstream.connections[0]!.socket, 'close');
    upstream.connections[0]!.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
    await gone;
    expect(await gateway.exchange(get())).toMatch(/ok$/);
  });
});

describe('connections', () => {
  it('answers a pipeline in order, over one upstream connection', async () => {
    await start((index) => ok(`Content-Length: 1\r\n`, String(index)));
    const client = connectRaw(gateway.port);
    const requests = Array.from({ length: 9 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: svc\r\n\r\n`).join('');
    client.send(`${requests}GET /9 HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n`);
    const bodies = (await client.closed()).match(/\r\n\r\n\d/g)?.map((text) => text.slice(4));
    expect(bodies).toEqual([...'0123456789']);
    expect(upstream.connections.length).toBe(1);
  });

  it('answers a client that has closed its sending side', async () => {
    await start();
    const client = connectRaw(gateway.port, { allowHalfOpen: true });
    client.socket.end('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    expect(await client.until(/ok$/)).toContain('200 OK');
    client.socket.destroy();
  });

  it('never completes a request that broke off', async () => {
    await start();
    const client = connectRaw(gateway.port);
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 10\r\n\r\nabc');
    while (upstream.connections.length === 0 || !upstream.received().endsWith('abc'))
      await new Promise((resolve) => setImmediate(resolve));
    const gone = once(upstream.connections[0]!.socket, 'close');
    client.socket.end();
    await gone;
    expect(upstream.received()).toMatch(/abc$/);
  });

  it('lets the upstream go when the client has gone', async () => {
    await start();
    upstream.script = ({ socket, answers }) =>
      answers === 0 && socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\nabc');
    const client = connectRaw(gateway.port);
    client.send(get());
    await client.until(/abc/);
    const gone = once(upstream.connections[0]!.socket, 'close');
    client.socket.resetAndDestroy();
    await gone;
    expect(gateway.engine.counters().services[0]?.instances[0]?.outcome).toMatchObject({
      requests: 1,
      aborted: 1,
      resets: 0,
    });
  });

  it('relays an early answer, then closes both connections', async () => {
    await start();
    upstream.script = (connection) => {
      if (connection.answers++ === 0) connection.socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno');
    };
    const client = connectRaw(gateway.port);
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 1000000\r\n\r\nabc');
    expect(await client.closed()).toMatch(/413 Too Large.*Connection: close\r\n.*no$/s);
  });

  it('passes large bodies both ways unchanged, at the pace of a slow reader', async () => {
    await start();
    const size = 12 * 1024 * 1024;
    const pattern = Buffer.from(Array.from({ length: 65_521 }, (_, i) => (i * 31 + (i >> 8)) & 0xff));
    const body = Buffer.concat(Array.from({ length: Math.ceil(size / pattern.length) }, () => pattern)).subarray(
      0,
      size,
    );
    let got = 0;
    let same = true;
    upstream.script = () => {};
    const { createServer } = await import('node:http');
    const echo = createServer((request, response) => {
      response.writeHead(200, { 'content-length': size });
      request.pipe(response);
    }).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    await gateway.apply({ stable: [{ ...upstream, port: (echo.address() as { port: number }).port }] });
    const client = connectRaw(gateway.port);
    client.socket.removeAllListeners('data');
    let skipped = false;
    client.socket.on('data', (chunk) => {
      let part: Buffer = chunk;
      if (!skipped) {
        part = chunk.subarray(chunk.indexOf('\r\n\r\n') + 4);
        skipped = true;
      }
      same &&= part.equals(body.subarray(got, got + part.length));
      got += part.length;
      client.socket.pause();
      setImmediate(() => client.socket.resume());
    });
    client.socket.write(`PUT / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
    client.socket.write(body);
    await client.closed();
    expect({ got, same }).toEqual({ got: size, same: true });
    echo.closeAllConnections();
    echo.close();
  });

  it('tunnels a WebSocket after 101, both ways', async () => {
    await start();
    upstream.script = (connection) => {
      if (connection.answers++ === 0)
        connection.socket.write(
          'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello',
        );
      else connection.socket.write(connection.received.slice(-4).toUpperCase());
    };
    const client = connectRaw(gateway.port);
    client.send(
      'GET /chat HTTP/1.1\r\nHost: svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n',
    );
    expect(await client.until(/hello$/)).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n.*Upgrade: websocket\r\n/s);
    expect(upstream.received()).toMatch(/Connection: Upgrade\r\nUpgrade: websocket\r\n/);
    client.send('ping');
    await client.until(/PING$/);
    const gone = once(upstream.connections[0]!.socket, 'close');
    client.socket.end();
    await gone;
  });

  it('refuses CONNECT', async () => {
    await start();
    expect(await gateway.exchange('CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n')).toMatch(
      /501 Not Implemented.*x-davy-cause: bad-request/s,
    );
    expect(upstream.received()).toBe('');
  });
});

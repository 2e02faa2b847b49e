import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { testPort } from '../../lib/test-port.fixture.ts';
import { until } from '../../lib/until.fixture.ts';
import type { ConnectRoute } from '../../traffic/model.ts';
import { limits } from '../limits.ts';
import { connectRaw, get, type RouteParts, startGateway, startUpstream, type TestGateway } from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

/** A target that says `hi`, answers what it gets in capitals, and lets each side end by itself. */
interface Target {
  port: number;
  sockets: net.Socket[];
  received: () => string;
}

async function startTarget(onSocket: (socket: net.Socket) => void = () => {}): Promise<Target> {
  const sockets: net.Socket[] = [];
  let text = '';
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (piece) => {
      text += piece.toString('latin1');
    });
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as net.AddressInfo).port, sockets, received: () => text };
}

const capitals = (socket: net.Socket) => {
  socket.on('data', (piece) => socket.write(String(piece).toUpperCase()));
  socket.on('end', () => socket.end());
};

const DEFAULTS: ConnectRoute = { allow: [], privateAddresses: false, maxTunnels: 10, connectMs: 2000, idleMs: 60_000 };

let gateway: TestGateway;

async function start(connect: Partial<ConnectRoute>, more: RouteParts['route'] = {}, options = {}): Promise<void> {
  const route = { connect: { ...DEFAULTS, ...connect }, ...more };
  gateway = await startGateway({ stable: [], route }, options);
  const opened = gateway;
  open.push(() => opened.close());
}

const request = (target: string, lines = '') => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${lines}\r\n`;
const tunnels = () => {
  const extras = gateway.engine.reports()[0]!.extras;
  const ours = Object.entries(extras).filter(([name]) => name.startsWith('tunnel'));
  return { tunnels_open: 0, ...Object.fromEntries(ours) } as Record<string, number>;
};

describe('CONNECT to an allowed target (RFC 9110 9.3.6)', () => {
  it('answers 200 without content or framing, then passes octets both ways, those ahead of the answer too', async () => {
    const target = await startTarget(capitals);
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at] });
    const client = connectRaw(gateway.port);
    client.send(`${request(at)}early `);
    await client.until(/EARLY $/);
    expect(client.received()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(client.received()).not.toMatch(/content-length|transfer-encoding|connection:/i);
    client.send('late');
    await client.until(/\r\n\r\nEARLY LATE$/);
    expect(target.received()).toBe('early late');
    expect(tunnels()).toMatchObject({
      tunnels_open: 1,
      tunnels_opened_total: 1,
      tunnel_sent_bytes_total: 10,
      tunnel_received_bytes_total: 10,
    });
    client.socket.end();
    target.sockets[0]!.end();
    await client.closed();
    await until(() => tunnels().tunnels_open === 0);
  });

  it('does not read what follows as a request, whatever it looks like', async () => {
    const target = await startTarget();
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at] });
    const client = connectRaw(gateway.port);
    client.send(request(at) + get('/hidden') + request('127.0.0.1:1'));
    await until(() => target.received().length === (get('/hidden') + request('127.0.0.1:1')).length);
    expect(client.received()).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s);
    expect(client.received().match(/HTTP\/1\.1/g)).toHaveLength(1);
    client.socket.destroy();
  });

  it.each([
    ['the same name in capitals', (port: number) => `LOCALHOST:${port}`],
    ['a client of HTTP/1.0', (port: number) => `localhost:${port}`],
  ])('takes %s', async (what, targetOf) => {
    const target = await startTarget(capitals);
    await start({ allow: [`localhost:${target.port}`], privateAddresses: true });
    const version = what.includes('1.0') ? '1.0' : '1.1';
    const at = targetOf(target.port);
    const client = connectRaw(gateway.port);
    client.send(`CONNECT ${at} HTTP/${version}\r\nHost: ${at}\r\n\r\nping`);
    expect(await client.until(/PING$/)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    client.socket.destroy();
  });

  it('comes after other requests on the same connection', async () => {
    const target = await startTarget(capitals);
    const upstream = await startUpstream();
    open.push(() => upstream.close());
    const at = `127.0.0.1:${target.port}`;
    gateway = await startGateway({ stable: [upstream], route: { connect: { ...DEFAULTS, allow: [at] } } });
    open.push(() => gateway.close());
    const client = connectRaw(gateway.port);
    client.send(`GET / HTTP/1.1\r\nHost: svc\r\n\r\n${request(at)}ping`);
    expect(await client.until(/PING$/)).toMatch(/\r\n\r\nokHTTP\/1\.1 200 OK\r\n/);
    client.socket.destroy();
  });

  it('passes large amounts both ways, at the pace of a slow reader', async () => {
    const body = Buffer.alloc(12 * 1024 * 1024, 'abcdefghij');
    const target = await startTarget((socket) => socket.pipe(socket));
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at] });
    const { socket } = connectRaw(gateway.port, { allowHalfOpen: true });
    socket.removeAllListeners('data');
    const pieces: Buffer[] = [];
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      socket.pause();
      setImmediate(() => socket.resume());
    });
    socket.write(request(at));
    socket.end(body);
    await once(socket, 'close');
    const all = Buffer.concat(pieces);
    expect(all.subarray(all.indexOf('\r\n\r\n') + 4).equals(body)).toBe(true);
    expect(tunnels()).toMatchObject({
      tunnel_sent_bytes_total: body.length,
      tunnel_received_bytes_total: body.length,
      tunnels_open: 0,
    });
  });

  it.each(['client', 'target'] as const)(
    'lets the other direction go on after the %s has ended its own',
    async (who) => {
      const target = await startTarget();
      const at = `127.0.0.1:${target.port}`;
      await start({ allow: [at] });
      const client = connectRaw(gateway.port, { allowHalfOpen: true });
      client.send(request(at));
      await client.until(/\r\n\r\n$/);
      const far = target.sockets[0]!;
      const [first, second] = who === 'client' ? [client.socket, far] : [far, client.socket];
      const ended = once(second, 'end');
      first.end('from the first');
      await ended;
      const last = once(first, 'end');
      second.write('from ');
      second.end('the second');
      await last;
      await client.closed();
      const [toTarget, toClient] =
        who === 'client' ? ['from the first', 'from the second'] : ['from the second', 'from the first'];
      expect(target.received()).toBe(toTarget);
      expect(client.received().endsWith(`\r\n\r\n${toClient}`)).toBe(true);
      await until(() => tunnels().tunnels_open === 0);
    },
  );

  it.each(['client', 'target'] as const)(
    'delivers what came before the %s broke off, and closes the other side',
    async (who) => {
      const target = await startTarget();
      const at = `127.0.0.1:${target.port}`;
      await start({ allow: [at] });
      const client = connectRaw(gateway.port);
      client.send(request(at));
      await client.until(/\r\n\r\n$/);
      const far = target.sockets[0]!;
      if (who === 'client') {
        client.send('last words');
        await until(() => target.received() === 'last words');
        const closed = once(far, 'end');
        client.socket.resetAndDestroy();
        await closed;
      } else {
        far.write('last words');
        await client.until(/last words$/);
        far.resetAndDestroy();
        await client.closed();
      }
      await until(() => tunnels().tunnels_open === 0);
    },
  );
});

describe('CONNECT that is refused', () => {
  const CLOSED_PORT = 1;

  it.each<[string, (port: number) => Partial<ConnectRoute>, (port: number) => string, number, string]>([
    ['another port', (port) => ({ allow: [`127.0.0.1:${port}`] }), () => request('127.0.0.1:22'), 403, 'tunnel-denied'],
    ['another host', (port) => ({ allow: [`a.test:${port}`] }), (port) => request(`b.test:${port}`), 403, 'tunnel-denied'],
    ['a part of a listed name', (port) => ({ allow: [`a.test:${port}`] }), (port) => request(`x.a.test:${port}`), 403, 'tunnel-denied'],
    ['a listed address written in another way', (port) => ({ allow: [`127.0.0.1:${port}`] }), (port) => request(`127.1:${port}`), 403, 'tunnel-denied'],
    ['percent encoding', (port) => ({ allow: [`localhost:${port}`], privateAddresses: true }), (port) => request(`%6cocalhost:${port}`), 403, 'tunnel-denied'],
    ['a name that leads inside', (port) => ({ allow: [`localhost:${port}`] }), (port) => request(`localhost:${port}`), 403, 'tunnel-denied'],
    ['a target that refuses', () => ({ allow: [`127.0.0.1:${CLOSED_PORT}`] }), () => request(`127.0.0.1:${CLOSED_PORT}`), 502, 'tunnel-unreachable'],
    ['content by length', (port) => ({ allow: [`127.0.0.1:${port}`] }), (port) => `${request(`127.0.0.1:${port}`, 'Content-Length: 2\r\n')}hi`, 400, 'bad-request'],
    ['content by chunks', (port) => ({ allow: [`127.0.0.1:${port}`] }), (port) => `${request(`127.0.0.1:${port}`, 'Transfer-Encoding: chunked\r\n')}0\r\n\r\n`, 400, 'bad-request'],
    ['no port', () => ({ allow: ['a.test:80'] }), () => request('a.test'), 400, 'bad-request'],
    ['origin-form', () => ({ allow: ['a.test:80'] }), () => request('/'), 400, 'bad-request'],
    ['absolute-form', () => ({ allow: ['a.test:80'] }), () => request('http://a.test:80/'), 400, 'bad-request'],
    ['user information', () => ({ allow: ['a.test:80'] }), () => request('me@a.test:80'), 400, 'bad-request'],
    ['no Host', () => ({ allow: ['a.test:80'] }), () => 'CONNECT a.test:80 HTTP/1.1\r\n\r\n', 400, 'bad-request'],
  ])('%s', async (_what, connect, octets, status, cause) => {
    const target = await startTarget();
    await start(connect(target.port));
    const answer = await gateway.exchange(`${octets(target.port)}GET /next HTTP/1.1\r\nHost: svc\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*x-davy-cause: ${cause}\r\n.*Connection: close\r\n`, 's'));
    // One answer: what follows may be meant for the target, and is nobody's request.
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    expect(answer).toContain('Content-Type: application/problem+json');
    expect(target.sockets).toHaveLength(0);
    expect(tunnels().tunnels_open).toBe(0);
  }); // biome-ignore format: a table

  it('every one, with 501, on a route that allows none', async () => {
    gateway = await startGateway({ stable: [] });
    open.push(() => gateway.close());
    expect(await gateway.exchange(request('127.0.0.1:80'))).toMatch(/^HTTP\/1\.1 501 .*x-davy-cause: bad-request/s);
  });

  it('a name that nobody knows: 502; silence: 504; both booked as failed', async () => {
    const nobody: net.LookupFunction = (_host, _options, callback) =>
      callback(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), '', 0);
    await start({ allow: ['a.test:80'] }, {}, { lookup: nobody });
    expect(await gateway.exchange(request('a.test:80'))).toMatch(/^HTTP\/1\.1 502 .*cause: tunnel-unreachable/s);
    await start({ allow: ['a.test:80'], connectMs: 50 }, {}, { lookup: () => {} });
    expect(await gateway.exchange(request('a.test:80'))).toMatch(/^HTTP\/1\.1 504 .*cause: tunnel-timeout/s);
    expect(tunnels()).toMatchObject({ tunnels_failed_total: 1, tunnels_open: 0 });
    const metrics = gateway.engine.reports()[0]!.ownCodes.map(([code]) => code);
    expect(metrics).toEqual(['504 1']);
  });

  it('beyond `maxTunnels`: 503, until one has ended', async () => {
    const target = await startTarget(capitals);
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at], maxTunnels: 1 });
    const first = connectRaw(gateway.port);
    first.send(request(at));
    await first.until(/\r\n\r\n$/);
    expect(await gateway.exchange(request(at))).toMatch(
      /^HTTP\/1\.1 503 .*cause: tunnel-limit\r\n.*Retry-After: 1\r\n/s,
    );
    first.socket.destroy();
    await until(() => tunnels().tunnels_open === 0);
    const second = connectRaw(gateway.port);
    second.send(`${request(at)}x`);
    await second.until(/X$/);
    second.socket.destroy();
    expect(tunnels()).toMatchObject({ tunnels_opened_total: 2, tunnels_shed_total: 1 });
  });

  it('by the rate limiter, like any request', async () => {
    const target = await startTarget();
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at] }, { rateLimit: { perSecond: 0.001, burst: 1 } });
    const first = connectRaw(gateway.port);
    first.send(request(at));
    await first.until(/ 200 OK/);
    expect(await gateway.exchange(request(at))).toMatch(/^HTTP\/1\.1 429 .*x-davy-cause: limiter\r\n.*Retry-After/s);
    first.socket.destroy();
  });

  it('over HTTP/2, with 501', async () => {
    await start({ allow: ['127.0.0.1:80'] });
    const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
    open.push(() => session.destroy());
    const stream = session.request({ ':method': 'CONNECT', ':authority': '127.0.0.1:80' });
    stream.write('octets for the target');
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    expect(headers).toMatchObject({ ':status': 501, 'x-davy-cause': 'bad-request' });
    expect(Buffer.concat(await stream.toArray()).toString()).toContain('CONNECT');
    // The session goes on.
    const other = session.request({ ':path': '/' });
    expect(((await once(other, 'response')) as [http2.IncomingHttpHeaders])[0][':status']).toBe(503);
  });
});

describe('the life of a tunnel', () => {
  it('ends when nothing has moved for `idleMs`, and any octet begins the time anew', async () => {
    const target = await startTarget(capitals);
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at], idleMs: 150 });
    const client = connectRaw(gateway.port);
    const startedAt = performance.now();
    client.send(request(at));
    for (const text of ['a', 'b', 'c', 'd']) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      client.send(text);
      await client.until(new RegExp(`${text.toUpperCase()}$`));
    }
    await client.closed();
    expect(performance.now() - startedAt).toBeGreaterThan(240);
    await until(() => tunnels().tunnels_open === 0);
    expect(tunnels()).toMatchObject({ tunnels_idle_closed_total: 1 });
  });

  it('ends when a table strikes its target out, and only then', async () => {
    const target = await startTarget(capitals);
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at] });
    const client = connectRaw(gateway.port);
    client.send(`${request(at)}one`);
    await client.until(/ONE$/);
    await gateway.apply({ stable: [], route: { connect: { ...DEFAULTS, allow: ['a.test:1', at] } } });
    client.send('two');
    await client.until(/TWO$/);
    await gateway.apply({ stable: [], route: { connect: { ...DEFAULTS, allow: ['a.test:1'] } } });
    await client.closed();
    await gateway.apply({ stable: [], route: {} });
    expect(tunnels().tunnels_open).toBe(0);
  });

  it('gives back its place when the client leaves while the target is being connected', async () => {
    await start({ allow: ['a.test:80'] }, {}, { lookup: () => {} });
    const client = connectRaw(gateway.port);
    client.send(request('a.test:80'));
    await until(() => tunnels().tunnels_open === 1);
    client.socket.resetAndDestroy();
    await until(() => tunnels().tunnels_open === 0);
    expect(tunnels().tunnels_opened_total ?? 0).toBe(0);
  });

  it('keeps no more of what comes ahead of the answer than of a pipeline', async () => {
    await start({ allow: ['a.test:80'] }, {}, { lookup: () => {} });
    const client = connectRaw(gateway.port);
    client.send(request('a.test:80'));
    const block = Buffer.alloc(1024 * 1024);
    let sent = 0;
    while (client.socket.write(block) && sent < 512) {
      sent++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // The kernel takes some megabytes; then the client has to wait.
    expect(sent).toBeLessThan(512);
    expect(limits.pipelinedBytes).toBeLessThan(block.length);
    client.socket.destroy();
  });
});

describe('the access log', () => {
  let lines: Record<string, unknown>[];
  beforeEach(() => {
    lines = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      lines.push(JSON.parse(String(text)) as Record<string, unknown>);
      return true;
    });
    open.push(() => spy.mockRestore());
  });

  it('has one line for a tunnel, at its end, with its octets; and never names what was not allowed', async () => {
    const target = await startTarget(capitals);
    const at = `127.0.0.1:${target.port}`;
    await start({ allow: [at] }, { accessLogShare: 1 });
    const client = connectRaw(gateway.port);
    client.send(`${request(at)}ping`);
    await client.until(/PING$/);
    expect(lines).toEqual([]);
    client.socket.end();
    target.sockets[0]!.end();
    await client.closed();
    await gateway.exchange(request('secret.test:443'));
    expect(lines[0]).toMatchObject({
      method: 'CONNECT',
      path: at,
      status: 200,
      flags: '-',
      sentBytes: 4,
      receivedBytes: 4,
    });
    expect(lines[1]).toMatchObject({ method: 'CONNECT', path: '-', status: 403, flags: 'NR' });
    expect(JSON.stringify(lines)).not.toContain('secret');
  });
});

it('leaves nothing open when many clients and targets break off at any moment', async () => {
  const target = await startTarget((socket) => {
    const act = Math.random();
    if (act < 0.3) socket.resetAndDestroy();
    else if (act < 0.6) socket.end('bye');
    else capitals(socket);
  });
  const at = `127.0.0.1:${target.port}`;
  await start({ allow: [at, `127.0.0.1:${await testPort()}`], maxTunnels: 30 });
  await Promise.all(
    Array.from({ length: 60 }, async (_, i) => {
      const client = connectRaw(gateway.port, { allowHalfOpen: true });
      client.send(request(at) + 'x'.repeat(i * 1000));
      if (i % 3 === 0) setTimeout(() => client.socket.resetAndDestroy(), i % 7);
      else if (i % 3 === 1) client.socket.end();
      else setTimeout(() => client.socket.end(), i % 11);
      client.socket.on('end', () => client.socket.end());
      await client.closed();
    }),
  );
  await until(() => tunnels().tunnels_open === 0);
});

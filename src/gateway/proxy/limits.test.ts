/** The limits in force, on real sockets, with shorter times: this file has its own process, and mocks nothing but the numbers. */
import { once } from 'node:events';
import { describe, expect, it, vi } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  answering,
  connectRaw,
  get,
  type RouteParts,
  type Script,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

vi.mock('../limits.ts', async (original) => {
  const { limits } = (await original()) as typeof import('../limits.ts');
  return {
    limits: {
      ...limits,
      headTimeoutMs: 100,
      clientIdleMs: 150,
      bodyIdleMs: 120,
      answerIdleMs: 150,
      upstreamIdleMs: 100,
      clientConnections: 5,
      idleUpstreams: 2,
    },
  };
});

const open = closedAfterEach();

let gateway: TestGateway;
let upstream: TestUpstream;

async function start(script: Script = answering(), route: RouteParts['route'] = {}): Promise<void> {
  upstream = await startUpstream(script);
  gateway = await startGateway({ stable: [upstream], route });
  const [one, two] = [gateway, upstream];
  open.push(
    () => two.close(),
    () => one.close(),
  );
}

const outcome = () => gateway.engine.counters().services[0]!.instances[0]!.outcome;

describe('time limits', () => {
  it('a head that does not come whole: 408, also when octets trickle in', async () => {
    await start();
    const client = connectRaw(gateway.port);
    const drip = setInterval(() => client.send('X'), 30);
    client.send('GET / HTTP/1.1\r\nHost: s');
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 .*x-davy-cause: bad-request/s);
    clearInterval(drip);
    expect(upstream.received()).toBe('');
  });

  it('an idle connection is closed without a word, new or used', async () => {
    await start();
    const fresh = connectRaw(gateway.port);
    expect(await fresh.closed()).toBe('');
    const used = connectRaw(gateway.port);
    used.send('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    expect(await used.closed()).toMatch(/ok$/);
  });

  it('a body that stops coming: 408, and the upstream never sees it complete', async () => {
    await start();
    const client = connectRaw(gateway.port);
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 10\r\n\r\nabc');
    await until(() => upstream.received().endsWith('abc'));
    const gone = once(upstream.connections[0]!.socket, 'close');
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 408 /);
    await gone;
    expect(upstream.received()).toMatch(/abc$/);
    expect(outcome()).toMatchObject({ status5xx: 0, timeouts: 0, resets: 0 });
    expect(gateway.engine.counters().services[0]!.own.badRequest).toBe(1);
  });

  it('a body that keeps coming slowly is served', async () => {
    await start();
    const client = connectRaw(gateway.port);
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: 8\r\n\r\n');
    for (const octet of 'slowbody') {
      await new Promise((resolve) => setTimeout(resolve, 50));
      client.send(octet);
    }
    expect(statusOf(await client.closed())).toBe(200);
  });

  it('a body that the service does not take: 504, and the version is charged', async () => {
    await start(() => {});
    const client = connectRaw(gateway.port);
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 100000000\r\n\r\n');
    await until(() => upstream.connections.length === 1);
    upstream.connections[0]!.socket.pause();
    client.socket.write(Buffer.alloc(64 * 1024 * 1024));
    expect(await client.closed().catch(() => client.received())).toMatch(/^HTTP\/1\.1 504 .*upstream-timeout/s);
    expect(outcome()).toMatchObject({ requests: 1, timeouts: 1 });
  });

  it('an answer that stops coming: the client is cut off, the version charged', async () => {
    await start(({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc'), { timeoutMs: 100 });
    const client = connectRaw(gateway.port);
    client.send(get());
    expect(await client.closed()).toMatch(/\r\n\r\nabc$/);
    expect(outcome()).toMatchObject({ requests: 1, timeouts: 1, status2xx: 0 });
  });

  it('an answer that keeps coming outlives the time for its head', async () => {
    await start(
      ({ socket }) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n');
        let n = 0;
        const timer = setInterval(() => {
          socket.write(String(n));
          if (++n === 6) clearInterval(timer);
        }, 60);
      },
      { timeoutMs: 100 },
    );
    const client = connectRaw(gateway.port);
    client.send(get());
    expect(await client.closed()).toMatch(/\r\n\r\n012345$/);
    expect(outcome()).toMatchObject({ status2xx: 1, timeouts: 0 });
  });

  it('a client that stops reading is cut off, and the version is not charged', async () => {
    const body = Buffer.alloc(32 * 1024 * 1024);
    await start(
      ({ socket }) => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
        socket.write(body);
      },
      { timeoutMs: 2_000 },
    );
    const { socket } = connectRaw(gateway.port);
    socket.pause();
    socket.write(get());
    await until(() => outcome().aborted === 1);
    expect(outcome()).toMatchObject({ requests: 1, timeouts: 0, resets: 0 });
    socket.destroy();
  });

  it('an idle upstream connection is closed, and `Keep-Alive: timeout` may ask for it sooner', async () => {
    await start();
    await gateway.exchange(get());
    await once(upstream.connections[0]!.socket, 'close');
    upstream.script = answering('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n');
    await gateway.exchange(get());
    await gateway.exchange(get());
    // A second less than asked for is nothing: neither connection was used again.
    expect(upstream.connections).toHaveLength(3);
  });
});

describe('limits of number', () => {
  it('connections beyond the limit are closed at once and counted; others go on', async () => {
    await start();
    const held = Array.from({ length: 5 }, () => connectRaw(gateway.port));
    for (const client of held) client.send('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    await Promise.all(held.map((client) => client.until(/ok$/)));
    expect(await connectRaw(gateway.port).closed()).toBe('');
    expect(gateway.engine.reports()[0]!.extras).toMatchObject({ connections: 5, connections_refused_total: 1 });
    for (const client of held) client.socket.destroy();
    await until(() => gateway.engine.reports()[0]!.extras.connections === 0);
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
  });

  it('idle upstream connections are kept up to their limit', async () => {
    await start((connection) => setTimeout(() => answering()(connection), 30));
    await Promise.all(Array.from({ length: 4 }, () => gateway.exchange(get())));
    expect(upstream.connections).toHaveLength(4);
    await until(() => upstream.connections.filter(({ socket }) => !socket.destroyed).length <= 2);
  });

  it('an upload to a service that does not read is held back, not kept', async () => {
    await start();
    upstream.script = () => {};
    const client = connectRaw(gateway.port);
    upstream.connections.length = 0;
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 1000000000\r\n\r\n');
    await until(() => upstream.connections.length === 1);
    upstream.connections[0]!.socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    const piece = Buffer.alloc(256 * 1024);
    for (let i = 0; i < 200 && client.socket.writableLength < 8 * piece.length; i++) {
      client.socket.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What was taken lies in the kernel's buffers; the process keeps no more than a few reads of it.
    expect(client.socket.writableLength).toBeGreaterThan(0);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    client.socket.destroy();
  });
});

import dns from 'node:dns';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import type { ServiceRoute } from '../../traffic/model.ts';
import { BLACK_HOLE, openBlackHole } from '../testing/black-hole.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import {
  answering,
  connectRaw,
  get,
  type Script,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

/**
 * Node.js tries the addresses of a name one after the other, each with a new handle. What a connection delivers must be what came on it,
 * also when another connection of the process was read a moment before.
 */
const open = closedAfterEach();
const NAME = 'instance.test';
const REFUSED = '127.0.0.2';
const GOOD = '127.0.0.1';
const SECRET = 'secret-of-another-service';

/** What the system's resolver answers for `NAME`. */
let addresses: string[] = [];

beforeEach(() => {
  const system = dns.lookup;
  const lookup = (name: string, options: dns.LookupOptions, done: (...found: unknown[]) => void): void => {
    const found = addresses.map((address) => ({ address, family: 4 }));
    if (name !== NAME) system(name, options, done);
    else if (options.all === true) setImmediate(done, null, found);
    else setImmediate(done, null, found[0]?.address, 4);
  };
  const spy = vi.spyOn(dns, 'lookup').mockImplementation(lookup as typeof dns.lookup);
  return () => spy.mockRestore();
});

async function upstream(script: Script): Promise<TestUpstream> {
  const started = await startUpstream(script);
  open.push(() => started.close());
  return started;
}

async function gatewayWith(route: Partial<ServiceRoute>): Promise<TestGateway> {
  const gateway = await startGateway({ stable: [], route });
  open.push(() => gateway.close());
  return gateway;
}

/** Instances that are known by `NAME`. */
function named(version: string, port: number) {
  return { version, instances: [{ id: `svc/${version}/0`, host: NAME, port, zone: null }] };
}

/** Another service of this process whose octets pass through the same memory, request and answer, until the test ends. */
async function anotherService(): Promise<() => Promise<void>> {
  const other = await upstream(answering(`HTTP/1.1 200 OK\r\nX-User: ${SECRET}\r\nContent-Length: 6\r\n\r\nothers`));
  const gateway = await gatewayWith({
    versions: [{ version: 'v1', instances: [{ id: 'o', host: GOOD, port: other.port, zone: null }] }],
  });
  return async () => {
    expect(await gateway.exchange(get('/', `Authorization: ${SECRET}\r\n`))).toMatch(/others$/);
  };
}

const places: [string, string[]][] = [
  ['one that refuses, then the instance', [REFUSED, GOOD]],
  ['two that refuse, then the instance', [REFUSED, '127.0.0.4', GOOD]],
];
if (process.platform === 'linux')
  places.push(['one that swallows every packet, then the instance', [BLACK_HOLE, GOOD]]);

describe.each(places)('a name with these addresses: %s', (_what, present) => {
  beforeEach(() => {
    addresses = present;
  });

  async function reachable(port: number): Promise<number> {
    if (present.includes(BLACK_HOLE)) open.push(await openBlackHole(port));
    return port;
  }

  it('answers are those of the instance, over HTTP/1.1', async () => {
    const own = await upstream(
      answering((n) => `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nown ${n}`),
    );
    const port = await reachable(own.port);
    const gateway = await gatewayWith({ versions: [named('v1', port)] });
    const others = await anotherService();
    for (let i = 0; i < 4; i++) {
      await others();
      expect(await gateway.exchange(get())).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nown 0$/s);
    }
    expect(own.received()).not.toContain(SECRET);
  });

  it('a large answer comes whole', async () => {
    const body = Buffer.from(Array.from({ length: 1_000_000 }, (_, i) => 97 + ((i * 7 + (i >> 9)) % 26))).toString(
      'latin1',
    );
    const own = await upstream(answering(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`));
    const gateway = await gatewayWith({ versions: [named('v1', await reachable(own.port))] });
    const others = await anotherService();
    await others();
    const [answer] = await Promise.all([gateway.exchange(get()), others()]);
    expect(answer.slice(answer.indexOf('\r\n\r\n') + 4) === body).toBe(true);
  });

  it('answers are those of the instance, over HTTP/2', async () => {
    const own = await startH2cUpstream();
    open.push(() => own.close());
    const gateway = await gatewayWith({ protocol: 'h2c', versions: [named('v1', await reachable(own.port))] });
    const others = await anotherService();
    for (let i = 0; i < 4; i++) {
      await others();
      expect(await gateway.exchange(get(`/${i}`))).toMatch(/^HTTP\/1\.1 200 .*ok\r\n0\r\n\r\n$/s);
    }
    expect(own.heads.map((head) => head[':path'])).toEqual(['/0', '/1', '/2', '/3']);
  });

  it('the copies of a mirror reach the instance, and its answers are read as its own', async () => {
    const own = await upstream(answering());
    const shadow = await upstream(answering('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nshadow'));
    const gateway = await gatewayWith({
      versions: [
        { version: 'v1', instances: [{ id: 'svc/v1/0', host: GOOD, port: own.port, zone: null }] },
        named('v2', await reachable(shadow.port)),
      ],
      mirror: { version: 'v2', share: 1, maxConcurrent: 8 },
    });
    const others = await anotherService();
    // An answer that is read right leaves its connection for a later copy.
    const reused = () => shadow.connections.some(({ answers }) => answers > 1);
    for (let i = 0; i < 50 && !reused(); i++) {
      await others();
      expect(await gateway.exchange(get(`/${i}`))).toMatch(/ok$/);
      await until(() => (shadow.received().match(/GET /g)?.length ?? 0) === i + 1);
    }
    expect(reused()).toBe(true);
    expect(shadow.received()).not.toContain(SECRET);
  });

  it('a WebSocket carries what the instance sends', async () => {
    const switched = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nown frame';
    const own = await upstream(answering(switched));
    const gateway = await gatewayWith({ versions: [named('v1', await reachable(own.port))] });
    const others = await anotherService();
    const client = connectRaw(gateway.port);
    open.push(() => client.socket.destroy());
    await others();
    client.send('GET / HTTP/1.1\r\nHost: svc\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    expect(await client.until(/\r\n\r\n.{9}/s)).toMatch(/^HTTP\/1\.1 101 .*\r\n\r\nown frame$/s);
    await others();
    client.send('to the instance');
    await until(() => own.received().endsWith('to the instance'));
    expect(client.received()).not.toContain('others');
  });

  it('a CONNECT tunnel begins with what the target sends', async () => {
    const own = await upstream(({ socket, received }) => socket.write(received.toUpperCase()));
    const target = `${NAME}:${await reachable(own.port)}`;
    const connect = { allow: [target], privateAddresses: true, maxTunnels: 9, connectMs: 5000, idleMs: 60_000 };
    const gateway = await gatewayWith({ connect });
    const others = await anotherService();
    for (let i = 0; i < 4; i++) {
      await others();
      const client = connectRaw(gateway.port);
      client.send(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
      await client.until(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n/s);
      client.send(`tunnel ${i}`);
      expect(await client.until(/\r\n\r\n.{8}/s)).toMatch(new RegExp(`\\r\\n\\r\\nTUNNEL ${i}$`));
      client.socket.destroy();
    }
    expect(own.received()).toBe('tunnel 0tunnel 1tunnel 2tunnel 3');
  });

  it('a health check finds the instance in', async () => {
    const own = await upstream(answering('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'));
    const port = await reachable(own.port);
    const healthCheck = {
      probe: { kind: 'http1', path: '/up' } as const,
      everyMs: 20,
      timeoutMs: 2000,
      unhealthyAfter: 1,
      healthyAfter: 1,
    };
    const gateway = await gatewayWith({ healthCheck, versions: [named('v1', port)] });
    const others = await anotherService();
    await others();
    await until(() => (own.received().match(/GET \/up /g)?.length ?? 0) >= 3);
    expect(gateway.engine.reports()[0]!.endpoints[0]).toMatchObject({ healthy: 1 });
  });
});

import { once } from 'node:events';
import http2 from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import { type H2cUpstream, startH2cUpstream } from '../testing/h2c-upstream.ts';
import {
  answering,
  get,
  type RouteParts,
  startGateway,
  startUpstream,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

async function gatewayTo(parts: RouteParts): Promise<TestGateway> {
  const gateway = await startGateway(parts);
  open.push(() => gateway.close());
  return gateway;
}

async function http1(script = answering()): Promise<TestUpstream> {
  const upstream = await startUpstream(script);
  open.push(() => upstream.close());
  return upstream;
}

async function h2c(answer?: Parameters<typeof startH2cUpstream>[0]): Promise<H2cUpstream & TestUpstream> {
  const upstream = await startH2cUpstream(answer);
  open.push(() => upstream.close());
  return upstream as H2cUpstream & TestUpstream;
}

const outcomesOf = (gateway: TestGateway) => gateway.engine.counters().services[0]!.instances[0]!.outcome;
const ownOf = (gateway: TestGateway) => gateway.engine.counters().services[0]!.own;

/** One gRPC call without a message, by a real client. */
function callOver(gateway: TestGateway): Promise<grpc.ServiceError> {
  const client = new grpc.Client(`127.0.0.1:${gateway.port}`, grpc.credentials.createInsecure());
  open.push(() => client.close());
  const raw = (message: Buffer) => message;
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest('/t.T/Unary', raw, raw, Buffer.from('hi'), (error) =>
      error === null ? reject(new Error('the call succeeded')) : resolve(error),
    ),
  );
}

describe('what the service declares decides how a request reaches its instances', () => {
  it('a client that says application/grpc gets an own answer from an HTTP/1.1 service, and no version is charged', async () => {
    const upstream = await http1();
    const gateway = await gatewayTo({ stable: [upstream] });
    const answer = await gateway.exchange(get('/', 'Content-Type: application/grpc\r\n'));
    expect(statusOf(answer)).toBe(415);
    expect(answer).toMatch(
      /x-davy-cause: bad-request\r\n[\s\S]*"detail":"the instances of this service speak HTTP\/1\.1/,
    );
    expect(upstream.connections).toHaveLength(0);
    expect(outcomesOf(gateway)).toMatchObject({ requests: 0, resets: 0 });
    expect(ownOf(gateway)).toMatchObject({ badRequest: 1 });
  });

  it('a gRPC client learns from the status and its message that the service speaks HTTP/1.1', async () => {
    const upstream = await http1();
    const gateway = await gatewayTo({ stable: [upstream] });
    const error = await callOver(gateway);
    expect(error.code).toBe(grpc.status.UNIMPLEMENTED);
    expect(error.details).toMatch(/speak HTTP\/1\.1; gRPC calls need `protocol: grpc` or `h2c`/);
    expect(upstream.connections).toHaveLength(0);
    expect(outcomesOf(gateway).requests).toBe(0);
  });

  it.each(['h2c', 'grpc'] as const)(
    '%s: HTTP/1.1 and HTTP/2 requests of any type arrive over HTTP/2',
    async (protocol) => {
      const upstream = await h2c();
      const gateway = await gatewayTo({ stable: [upstream], route: { protocol } });
      expect(await gateway.exchange(get('/a'))).toMatch(/^HTTP\/1\.1 200 [\s\S]*ok\r\n/);
      const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
      open.push(() => session.destroy());
      const stream = session.request({ ':path': '/b', 'content-type': 'application/json' });
      const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
      stream.resume();
      expect(head[':status']).toBe(200);
      expect(upstream.heads.map((one) => one[':path'])).toEqual(['/a', '/b']);
      expect(outcomesOf(gateway)).toMatchObject({ requests: 2, status2xx: 2 });
    },
  );

  it('an instance that speaks HTTP/2 only is not asked to switch to a WebSocket', async () => {
    const upstream = await h2c();
    const gateway = await gatewayTo({ stable: [upstream], route: { protocol: 'h2c' } });
    const lines = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
    const answer = await gateway.exchange(`GET / HTTP/1.1\r\nHost: svc\r\nConnection: close, Upgrade\r\n${lines}\r\n`);
    expect(statusOf(answer)).toBe(200);
    expect(upstream.heads[0]).not.toHaveProperty('upgrade');
  });

  it('own answers to a gRPC call are gRPC answers, whatever the reason', async () => {
    const gateway = await gatewayTo({ stable: [], route: { protocol: 'grpc' } });
    const none = await callOver(gateway);
    expect(none).toMatchObject({ code: grpc.status.UNAVAILABLE, details: 'no instance of v1 is known' });
    expect(none.metadata.get('x-davy-cause')).toEqual(['no-upstream']);
    await gateway.apply({ stable: [], route: { protocol: 'grpc', rateLimit: { perSecond: 0.01, burst: 1 } } });
    await callOver(gateway);
    const limited = await callOver(gateway);
    expect(limited.code).toBe(grpc.status.UNAVAILABLE);
    expect(limited.metadata.get('x-davy-cause')).toEqual(['limiter']);
    // A client of HTTP/1.1 that says so speaks no gRPC.
    const plain = await gateway.exchange(get('/', 'Content-Type: application/grpc\r\n'));
    expect(plain).toMatch(/^HTTP\/1\.1 429 [\s\S]*application\/problem\+json/);
  });

  it('a table with a protocol that nobody knows is refused', async () => {
    const gateway = await gatewayTo({ stable: [] });
    const protocol = 'http3' as 'http1';
    await expect(gateway.apply({ stable: [], route: { protocol } })).rejects.toThrow(
      /protocol must be one of http1, h2c, grpc/,
    );
  });
});

describe('copies for the mirror', () => {
  const mirror = { version: 'v2', share: 1, maxConcurrent: 4 };
  const mirroredOf = (gateway: TestGateway) => gateway.engine.reports()[0]!.extras;

  it('go over HTTP/2 where the service speaks it', async () => {
    const stable = await h2c();
    const shadow = await h2c();
    const route = { mirror, protocol: 'h2c' as const };
    const gateway = await gatewayTo({ stable: [stable], canary: [shadow], canaryRoute: { weightBp: 0 }, route });
    expect(statusOf(await gateway.exchange(get('/a', 'X-A: 1\r\n')))).toBe(200);
    await until(() => shadow.heads.length === 1);
    expect(shadow.heads[0]).toMatchObject({ ':path': '/a', ':authority': 'svc-shadow', 'x-a': '1' });
    // The same request, trace included.
    expect({ ...shadow.heads[0], ':authority': 'svc' }).toEqual({ ...stable.heads[0] });
    await until(() => mirroredOf(gateway).mirrored_total === 1);
    expect(mirroredOf(gateway)).toMatchObject({ mirror_failed_total: 0, mirror_skipped_total: 0 });
  });

  it.each([
    ['svc', 'svc-shadow'],
    ['svc:8080', 'svc-shadow:8080'],
    ['127.0.0.1:80', '127.0.0.1-shadow:80'],
    ['[::1]', '[::1]'],
    ['[::1]:8080', '[::1]:8080'],
    ['[2001:db8::7]:443', '[2001:db8::7]:443'],
  ])('Host: %s is a valid Host in the copy: %s', async (host, copied) => {
    const stable = await http1();
    const shadow = await http1();
    const gateway = await gatewayTo({
      stable: [stable],
      canary: [shadow],
      canaryRoute: { weightBp: 0 },
      route: { mirror },
    });
    await gateway.exchange(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    await gateway.exchange(`GET http://${host}/x HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n`);
    await until(() => /\/x HTTP/.test(shadow.received()));
    expect(shadow.received().match(/\r\nHost: [^\r]*/g)).toEqual([`\r\nHost: ${copied}`, `\r\nHost: ${copied}`]);
    expect(shadow.received()).toContain(`X-Forwarded-Host: ${host}\r\n`);
    expect(stable.received()).toContain(`\r\nHost: ${host}\r\n`);
  });

  it('go to no instance that the checks have found sick', async () => {
    const stable = await http1();
    const sick = await http1((connection) => {
      const status = connection.received.startsWith('GET /q/health ') ? '503 Sick' : '200 OK';
      connection.socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`);
    });
    const well = await http1();
    const probe = { kind: 'http1' as const, path: '/q/health' };
    const healthCheck = { probe, everyMs: 20, timeoutMs: 60_000, unhealthyAfter: 1, healthyAfter: 1 };
    const parts = (shadows: TestUpstream[]): RouteParts => ({
      stable: [stable],
      canary: shadows,
      canaryRoute: { weightBp: 0 },
      route: { mirror: { ...mirror, maxConcurrent: 100 }, healthCheck },
    });
    const gateway = await gatewayTo(parts([sick, well]));
    const unhealthy = () => gateway.engine.reports()[0]!.endpoints.filter(({ healthy }) => healthy === 0).length;
    await until(() => unhealthy() === 1);
    for (let i = 0; i < 6; i++) await gateway.exchange(get(`/${i}`));
    await until(() => well.received().includes('GET /5 '));
    expect(sick.received()).not.toContain('-shadow');
    await gateway.apply(parts([sick]));
    await until(() => unhealthy() === 1);
    await gateway.exchange(get('/alone'));
    expect(mirroredOf(gateway)).toMatchObject({ mirrored_total: 6, mirror_skipped_total: 1 });
    expect(sick.received()).not.toContain('-shadow');
  });

  it('are given up when the requests are: after the time of one try', async () => {
    const silent = await http1(() => {});
    const retries = { maxTries: 1, perTryMs: 50, budgetShare: 0.2 };
    const route = { mirror, timeoutMs: 60_000, retries };
    const gateway = await gatewayTo({ stable: [silent], canary: [silent], canaryRoute: { weightBp: 0 }, route });
    expect(statusOf(await gateway.exchange(get()))).toBe(504);
    expect(mirroredOf(gateway)).toMatchObject({ mirrored_total: 1, mirror_failed_total: 1 });
  });

  it('whose answer outlasts a request are let go and have not failed', async () => {
    const stable = await http1();
    const endless = await http1(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n');
    });
    const gateway = await gatewayTo({
      stable: [stable],
      canary: [endless],
      canaryRoute: { weightBp: 0 },
      route: { mirror, timeoutMs: 100 },
    });
    await gateway.exchange(get());
    await until(() => endless.connections.length === 1);
    await until(() => endless.connections[0]!.socket.destroyed || endless.connections[0]!.socket.readableEnded);
    expect(mirroredOf(gateway)).toMatchObject({ mirrored_total: 1, mirror_failed_total: 0 });
  });

  it('whose answer ends with its connection, or whose pooled connection had just closed, have not failed', async () => {
    const stable = await http1();
    const shadow = await http1((connection) => {
      if (connection.received.includes('/by-close')) connection.socket.end('HTTP/1.1 200 OK\r\n\r\nhi');
      // The second request on a connection finds it closed.
      else if (connection.answers > 0) connection.socket.destroy();
      else answering()(connection);
    });
    const gateway = await gatewayTo({
      stable: [stable],
      canary: [shadow],
      canaryRoute: { weightBp: 0 },
      route: { mirror },
    });
    const answered = () => shadow.connections.reduce((sum, { answers }) => sum + answers, 0);
    await gateway.exchange(get('/1'));
    await until(() => answered() === 1);
    await gateway.exchange(get('/2'));
    await until(() => answered() === 2);
    await gateway.exchange(get('/by-close'));
    await until(() => shadow.received().includes('/by-close'));
    await until(() => shadow.connections.every(({ socket }) => socket.destroyed));
    expect(mirroredOf(gateway)).toMatchObject({ mirrored_total: 3, mirror_failed_total: 0 });
  });
});

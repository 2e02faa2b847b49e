import http2 from 'node:http2';
import type net from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import type { InstanceCounters } from '../../metrics/source.ts';
import { answering, connectRaw, get, type RawClient, type TestGateway } from '../testing/harness.ts';
import { closedAfterEach, openedForTest } from '../testing/opened.ts';

const { upstream, gatewayTo } = openedForTest();
const open = closedAfterEach();
afterEach(() => vi.restoreAllMocks());

/** Edges that are soon passed. */
const route = { edgesMs: [5, 20, 60_000] };
const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
const EVENTS =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata:\n\n\r\n';

const only = (gateway: TestGateway): InstanceCounters => gateway.engine.counters().services[0]!.instances[0]!;

/** Says nothing until it is told to. */
async function silent() {
  const waiting: net.Socket[] = [];
  const server = await upstream(({ socket }) => waiting.push(socket));
  return { server, waiting };
}

function clientOf(port: number) {
  const client = connectRaw(port);
  open.push(() => client.socket.destroy());
  return client;
}

describe('a request in progress', () => {
  it('counts as sent when it is sent, and is seen to wait while it waits', async () => {
    const { server, waiting } = await silent();
    const gateway = await gatewayTo({ stable: [server], route });
    const client = clientOf(gateway.port);
    client.send(get());
    await until(() => waiting.length === 1 && only(gateway).waiting?.over[1] === 1);
    expect(only(gateway)).toMatchObject({
      started: 1,
      firstTry: { requests: 0, over: [0, 0, 0] },
      waiting: { requests: 1, unanswered: 1, over: [1, 1, 0] },
    });
    waiting[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    await client.closed();
    expect(only(gateway)).toMatchObject({
      started: 1,
      firstTry: { requests: 1, over: [1, 1, 0] },
      waiting: { requests: 0, unanswered: 0, over: [0, 0, 0] },
    });
  });

  it('is answered from its head on, and goes on to take the version time until its end', async () => {
    const { server, waiting } = await silent();
    const gateway = await gatewayTo({ stable: [server], route });
    const client = clientOf(gateway.port);
    client.send(get());
    await until(() => waiting.length === 1);
    waiting[0]!.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no');
    await until(() => only(gateway).waiting?.unanswered === 0 && only(gateway).waiting?.over[1] === 1);
    expect(only(gateway)).toMatchObject({ firstTry: { requests: 0 }, waiting: { requests: 1, unanswered: 0 } });
    waiting[0]!.write('k');
    await client.closed();
    expect(only(gateway)).toMatchObject({ firstTry: { requests: 1, over: [1, 1, 0] } });
  });

  it('does not take the version time while the client sends it', async () => {
    const server = await upstream();
    const gateway = await gatewayTo({ stable: [server], route });
    const client = clientOf(gateway.port);
    client.send('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 4\r\n\r\nab');
    await until(() => server.received().endsWith('ab'));
    const { waiting } = only(gateway);
    expect(waiting).toEqual({ requests: 1, unanswered: 1, overdue: 0, over: [0, 0, 0] });
    client.send('cd');
    await client.until(/ok$/);
    expect(only(gateway)).toMatchObject({ started: 1, firstTry: { requests: 1 }, waiting: { requests: 0 } });
  });

  it.each<[string, (client: RawClient, instance: net.Socket) => void, Record<string, number>]>([
    ['the client has left', ({ socket }) => socket.resetAndDestroy(), { requests: 1, timeouts: 0, resets: 0 }],
    ['it was answered after all', (_, socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nok'), { requests: 1, resets: 0 }],
    ['the instance has broken off', (_, socket) => socket.destroy(), { requests: 1, resets: 1 }],
  ])('that has waited for too long is lost from then on, once: %s', async (_, end, unserved) => {
    const { server, waiting } = await silent();
    const gateway = await gatewayTo({ stable: [server], route: { edgesMs: [60_000], timeoutMs: 120_000 } });
    const client = clientOf(gateway.port);
    vi.spyOn(performance, 'now').mockReturnValue(performance.now());
    client.send(get());
    await until(() => waiting.length === 1);
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000);
    expect(only(gateway)).toMatchObject({ waiting: { overdue: 0 }, unserved: { requests: 0 } });
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 1);
    expect(only(gateway)).toMatchObject({ waiting: { overdue: 1 }, unserved: { requests: 0 } });
    end(client, waiting[0]!);
    await until(() => only(gateway).firstTry.requests === 1);
    expect(only(gateway)).toMatchObject({ waiting: { overdue: 0 }, unserved });
  });

  it('that the client leaves is lost however soon it does', async () => {
    const { server, waiting } = await silent();
    const gateway = await gatewayTo({ stable: [server], route });
    const client = clientOf(gateway.port);
    client.send(get());
    await until(() => waiting.length === 1);
    client.socket.resetAndDestroy();
    await until(() => only(gateway).firstTry.aborted === 1);
    expect(only(gateway)).toMatchObject({ unserved: { requests: 1 } });
  });

  it('is in the exposition, also on an instance that has never answered', async () => {
    const { server } = await silent();
    const gateway = await gatewayTo({ stable: [server], route });
    clientOf(gateway.port).send(get());
    await until(() => only(gateway).waiting?.unanswered === 1);
    const { renderExposition } = await import('../admin/exposition.ts');
    const text = renderExposition(gateway.engine.reports(), []);
    const labels = 'service="svc",version="v1",instance="svc/v1/0",davy_cohort="weight"';
    expect(text).toContain(`davy_gateway_requests_started_total{${labels}} 1\n`);
    expect(text).toContain(`davy_gateway_requests_unanswered{${labels}} 1\n`);
    expect(text).toContain('davy_gateway_requests_in_flight{service="svc",instance="svc/v1/0"} 1\n');
  });
});

describe('a stream of events', () => {
  it('counts while it is open, with the time to its head, and no second time when it ends well', async () => {
    const { server, waiting } = await silent();
    const gateway = await gatewayTo({ stable: [server], route });
    const client = clientOf(gateway.port);
    const sentMs = performance.now();
    client.send(get());
    await until(() => waiting.length === 1);
    waiting[0]!.write(EVENTS);
    await client.until(/data:/);
    const headMs = performance.now() - sentMs;
    await until(() => only(gateway).firstTry.requests === 1);
    expect(only(gateway)).toMatchObject({
      outcome: { requests: 0 },
      firstTry: { status2xx: 1 },
      waiting: { requests: 1, unanswered: 0, over: [0, 0, 0] },
    });
    expect(only(gateway).firstTry.durationMsSum).toBeLessThanOrEqual(headMs);
    waiting[0]!.end('0\r\n\r\n');
    await client.closed();
    expect(only(gateway)).toMatchObject({
      started: 1,
      outcome: { requests: 1, status2xx: 1 },
      firstTry: { requests: 1 },
      waiting: { requests: 0 },
    });
    expect(only(gateway).outcome.durationMsSum).toBeLessThanOrEqual(headMs);
  });

  it('counts once more, as failed, when the instance breaks it off', async () => {
    const { server, waiting } = await silent();
    const gateway = await gatewayTo({ stable: [server], route });
    const client = clientOf(gateway.port);
    client.send(get());
    await until(() => waiting.length === 1);
    waiting[0]!.write(EVENTS);
    await until(() => only(gateway).firstTry.requests === 1);
    waiting[0]!.destroy();
    await client.closed();
    expect(only(gateway)).toMatchObject({ started: 1, firstTry: { requests: 2, status2xx: 1, resets: 1 } });
  });

  it('is a request like any other when it is over at once', async () => {
    const server = await upstream(answering(`${EVENTS}0\r\n\r\n`));
    const gateway = await gatewayTo({ stable: [server], route });
    await gateway.exchange(get());
    expect(only(gateway)).toMatchObject({ firstTry: { requests: 1, status2xx: 1 }, waiting: { requests: 0 } });
  });

  it('of gRPC messages counts in the same way', async () => {
    const service = http2.createServer();
    const streams: http2.ServerHttp2Stream[] = [];
    service.on('stream', (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '13' }));
      stream.on('error', () => {});
      stream.write(Buffer.alloc(5));
      streams.push(stream);
    });
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
    open.push(() => service.close());
    const { port } = service.address() as net.AddressInfo;
    const gateway = await gatewayTo({ stable: [{ port } as never], route: { ...route, protocol: 'grpc' } });
    const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
    open.push(() => session.destroy());
    const call = session.request({
      ':method': 'POST',
      ':path': '/s/m',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    call.on('error', () => {});
    call.end(Buffer.alloc(5));
    call.resume();
    await until(() => only(gateway).firstTry.requests === 1);
    expect(only(gateway)).toMatchObject({ firstTry: { status2xx: 1 }, waiting: { requests: 1, unanswered: 0 } });
    streams[0]!.end();
    await until(() => only(gateway).waiting?.requests === 0);
    expect(only(gateway)).toMatchObject({ started: 1, firstTry: { requests: 2, status2xx: 1, status5xx: 1 } });
  });
});

describe('a WebSocket', () => {
  const switching = () => upstream((connection) => connection.answers++ === 0 && connection.socket.write(SWITCH));

  it('weighs on its instance for as long as it is open: the next one goes where fewer are', async () => {
    const [a, b] = [await switching(), await switching()];
    const gateway = await gatewayTo({ stable: [a, b], route });
    const load = () => gateway.engine.reports()[0]!.endpoints.map(({ inFlight }) => inFlight);
    const opened = async () => {
      const client = clientOf(gateway.port);
      client.send(UPGRADE);
      await client.until(/101/);
      return client;
    };
    for (let i = 0; i < 10; i++) await opened();
    expect(load()).toEqual([5, 5]);
    for (const { socket } of a.connections) socket.destroy();
    await until(() => load()[0] === 0);
    for (let i = 0; i < 5; i++) await opened();
    expect(load()).toEqual([5, 5]);
    expect(gateway.engine.reports()[0]!.extras.active_requests).toBeGreaterThanOrEqual(10);
  });

  it('is answered when it is switched, and occupies its instance until either side is gone', async () => {
    const gateway = await gatewayTo({ stable: [await switching()], route });
    const client = clientOf(gateway.port);
    client.send(UPGRADE);
    await client.until(/101/);
    expect(only(gateway)).toMatchObject({
      started: 1,
      outcome: { requests: 1 },
      firstTry: { requests: 1, status2xx: 1 },
      waiting: { requests: 1, unanswered: 0, over: [0, 0, 0] },
    });
    client.socket.destroy();
    await until(() => only(gateway).waiting?.requests === 0);
    expect(only(gateway)).toMatchObject({ started: 1, firstTry: { requests: 1 } });
  });
});

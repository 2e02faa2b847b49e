import { once } from 'node:events';
import http2 from 'node:http2';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import type { DepartedVersion } from '../../traffic/dataplane.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import { connectRaw, type RouteParts, type Script, type TestGateway, type TestUpstream } from '../testing/harness.ts';
import { closedAfterEach, openedForTest } from '../testing/opened.ts';

const { upstream, gatewayTo } = openedForTest();
const open = closedAfterEach();

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
const EVENTS = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n';
const GET = 'GET / HTTP/1.1\r\nHost: svc\r\n\r\n';
const HELLO = '\x82\x05hello';
/** Close with the status 1001, as a server says it. */
const GOING_AWAY = '\x88\x02\x03\xe9';

const says = (text: string): Script => {
  return (connection) => connection.answers++ === 0 && connection.socket.write(Buffer.from(text, 'latin1'));
};

interface Rig {
  gateway: TestGateway;
  stable: TestUpstream;
  canary: TestUpstream;
  /** The canary leaves the table. */
  rollBack(drainMs: number): Promise<void>;
  departed(): DepartedVersion | undefined;
  /** A client whose request has reached the canary. */
  client(request: string): Promise<ReturnType<typeof connectRaw>>;
}

async function rigOf(script: Script, parts: Partial<RouteParts> = {}): Promise<Rig> {
  const stable = await upstream();
  const canary = await upstream(script);
  const canaryRoute = { weightBp: 10_000, ...parts.canaryRoute };
  const gateway = await gatewayTo({ stable: [stable], canary: [canary], ...parts, canaryRoute });
  const departed = () => gateway.engine.state().services[0]!.departed?.find(({ version }) => version === 'v2');
  return {
    ...{ gateway, stable, canary, departed },
    rollBack: (drainMs) => gateway.apply({ stable: [stable], route: { ...parts.route, drainMs } }),
    async client(request) {
      const before = canary.connections.length;
      const client = connectRaw(gateway.port);
      open.push(() => client.socket.destroy());
      client.send(request);
      await until(() => canary.connections.length > before && canary.connections.at(-1)!.received !== '');
      return client;
    },
  };
}

/** What the target got after the request's head. */
const heard = ({ connections }: TestUpstream) => connections[0]!.received.split('\r\n\r\n').slice(1).join('\r\n\r\n');

describe('what is open on a version that was rolled back', () => {
  it('a WebSocket: both sides are told with a Close frame of 1001, and its connections end', async () => {
    const rig = await rigOf(says(SWITCH + HELLO));
    const client = await rig.client(UPGRADE);
    await client.until(/hello$/);
    await rig.rollBack(0);
    const [, frames] = (await client.closed()).split('\r\n\r\n');
    expect(frames).toBe(HELLO + GOING_AWAY);
    await until(() => heard(rig.canary).length === 8);
    const frame = Buffer.from(heard(rig.canary), 'latin1');
    expect([frame[0], frame[1]]).toEqual([0x88, 0x82]);
    expect((frame[6]! ^ frame[2]!) * 256 + (frame[7]! ^ frame[3]!)).toBe(1001);
    await until(() => rig.canary.connections[0]!.socket.destroyed);
    expect(rig.departed()).toMatchObject({ open: 0, ended: 0, cut: 1, unseen: 0 });
  });

  it('a WebSocket in the middle of a frame: that frame is passed on whole, and the Close frame follows it', async () => {
    const rig = await rigOf(says(SWITCH));
    const client = await rig.client(UPGRADE);
    await client.until(/\r\n\r\n$/);
    const target = rig.canary.connections[0]!.socket;
    target.write(Buffer.from('\x82\x05he', 'latin1'));
    await client.until(/he$/);
    await rig.rollBack(0);
    await until(() => heard(rig.canary).length === 8);
    target.write(Buffer.from('llo\x82\x7elost', 'latin1'));
    const [, frames] = (await client.closed()).split('\r\n\r\n');
    expect(frames).toBe(HELLO + GOING_AWAY);
  });

  it('a WebSocket whose frame never ends is cut without a word', async () => {
    const rig = await rigOf(says(`${SWITCH}\x82\x05he`));
    const client = await rig.client(UPGRADE);
    await client.until(/he$/);
    await rig.rollBack(0);
    expect((await client.closed()).split('\r\n\r\n')[1]).toBe('\x82\x05he');
    expect(rig.departed()).toMatchObject({ open: 0, cut: 1 });
  });

  it('an event stream breaks off, so that the client sees that it is not whole', async () => {
    const rig = await rigOf(says(EVENTS));
    const client = await rig.client(GET);
    await client.until(/data: 1/);
    await rig.rollBack(0);
    expect(await client.closed()).not.toContain('\r\n0\r\n');
    await until(() => rig.canary.connections[0]!.socket.destroyed);
    expect(rig.departed()).toMatchObject({ open: 0, ended: 0, cut: 1 });
    const [report] = rig.gateway.engine.counters().services;
    expect(report!.instances.find(({ version }) => version === 'v2')!.outcome).toMatchObject({
      unjudged: 1,
      resets: 0,
    });
  });

  it('a request that waits for its answer gets 503 of the gateway', async () => {
    const rig = await rigOf(() => {}, { route: { timeoutMs: 60_000 } });
    const client = await rig.client(GET);
    await rig.rollBack(0);
    await client.until(/^HTTP\/1\.1 503 .*x-davy-cause: withdrawn\r\n/s);
    expect(rig.departed()).toMatchObject({ open: 0, cut: 1 });
    // The connection goes on: the next request is stable's.
    client.send(GET);
    await client.until(/\r\n\r\nok$/);
  });

  it('an upload is ended, and its connection with it', async () => {
    const rig = await rigOf(() => {});
    const client = await rig.client('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 10\r\n\r\nabc');
    await rig.rollBack(0);
    expect(await client.closed()).toMatch(/^HTTP\/1\.1 503 .*x-davy-cause: withdrawn\r\n.*Connection: close\r\n/s);
    expect(rig.departed()).toMatchObject({ open: 0, cut: 1 });
  });

  it('a gRPC stream ends with UNAVAILABLE, and other streams of the connection go on', async () => {
    const service = await startH2cUpstream((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.write(Buffer.alloc(5));
    });
    open.push(() => service.close());
    const target = { port: service.port } as TestUpstream;
    const route = { protocol: 'grpc' as const };
    const gateway = await gatewayTo({ stable: [target], canary: [target], canaryRoute: { weightBp: 5_000 }, route });
    const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
    open.push(() => session.destroy());
    const versions: string[] = [];
    const ends: Promise<unknown>[] = [];
    const instances = () => gateway.engine.counters().services[0]!.instances;
    const openOn = (version: string) =>
      instances().reduce((sum, one) => sum + (one.version === version ? one.waiting!.requests : 0), 0);
    const path = { ':method': 'POST', ':path': '/s/m', 'content-type': 'application/grpc', te: 'trailers' };
    for (let i = 0; i < 4; i++) {
      const call = session.request(path);
      call.on('error', () => {});
      call.end(Buffer.alloc(5));
      const before = openOn('v2');
      await once(call, 'data');
      versions.push(openOn('v2') > before ? 'v2' : 'v1');
      call.resume();
      if (versions[i] === 'v2') ends.push(once(call, 'trailers').then(([fields]) => fields));
    }
    await gateway.apply({ stable: [target], route: { ...route, drainMs: 0 } });
    const trailers = await Promise.all(ends);
    expect(trailers.length).toBeGreaterThan(0);
    for (const fields of trailers) expect(fields).toMatchObject({ 'grpc-status': '14' });
    expect([openOn('v1'), openOn('v2')]).toEqual([4 - trailers.length, 0]);
  });
});

describe('the time to finish', () => {
  it('lets what ends by itself end, cuts the rest, and tells both', async () => {
    const rig = await rigOf(says(EVENTS));
    const clients = [await rig.client(GET), await rig.client(GET), await rig.client(GET)];
    const sinceMs = Date.now();
    await rig.rollBack(60_000);
    expect(rig.departed()).toMatchObject({ open: 3, ended: 0, cut: 0, emptyAtMs: null });
    expect(rig.departed()!.sinceMs).toBeGreaterThanOrEqual(sinceMs);
    expect(rig.departed()!.cutInMs).toBeGreaterThan(50_000);
    rig.canary.connections[0]!.socket.end();
    await clients[0]!.until(/\r\n0\r\n\r\n$/);
    await until(() => rig.departed()!.ended === 1);
    clients[1]!.socket.resetAndDestroy();
    await until(() => rig.departed()!.ended === 2);
    expect(rig.departed()).toMatchObject({ open: 1, ended: 2, cut: 0 });
    expect(rig.gateway.engine.reports()[0]!.extras).toMatchObject({ departed_open: 1, departed_ended_total: 2 });
    // What a later table says of the time holds for what departs from then on.
    await rig.rollBack(0);
    expect(rig.departed()).toMatchObject({ open: 1, cut: 0 });
  });

  it('cuts what a lease that expired leaves behind, although nobody applies a table', async () => {
    const canaryRoute = { weightBp: 10_000, lease: { id: 'svc-1', ttlMs: 100 } };
    const rig = await rigOf(says(EVENTS), { canaryRoute, route: { drainMs: 50 } });
    const client = await rig.client(GET);
    await client.closed();
    expect(rig.departed()).toMatchObject({ open: 0, ended: 0, cut: 1 });
  });

  it('is over when the version gets traffic again: nothing is cut', async () => {
    const rig = await rigOf(says(EVENTS));
    const client = await rig.client(GET);
    await rig.rollBack(60_000);
    expect(rig.departed()).toMatchObject({ open: 1 });
    const again = { stable: [rig.stable], canary: [rig.canary], canaryRoute: { weightBp: 10_000, release: 'svc-2' } };
    await rig.gateway.apply({ ...again, route: { drainMs: 0 } });
    expect(rig.departed()).toBeUndefined();
    rig.canary.connections[0]!.socket.write('data: 2\n\n');
    await client.until(/data: 2/);
  });

  it('does not touch those who chose the canary by its header while the weight is 0', async () => {
    const rig = await rigOf(says(EVENTS), { route: { drainMs: 0 } });
    const chosen = await rig.client('GET / HTTP/1.1\r\nHost: svc\r\nX-Canary: true\r\n\r\n');
    const dealt = await rig.client(GET);
    await rig.gateway.apply({
      ...{ stable: [rig.stable], canary: [rig.canary], canaryRoute: { weightBp: 0 }, route: { drainMs: 0 } },
    });
    await dealt.closed();
    rig.canary.connections[0]!.socket.write('data: 2\n\n');
    await chosen.until(/data: 2/);
    expect(rig.departed()).toMatchObject({ open: 0, cut: 1 });
  });

  it('holds for the version that was replaced as well', async () => {
    const rig = await rigOf(says(EVENTS), { canaryRoute: { weightBp: 0 } });
    rig.stable.script = says(EVENTS);
    const client = connectRaw(rig.gateway.port);
    open.push(() => client.socket.destroy());
    client.send(GET);
    await client.until(/data: 1/);
    // v2 is the stable version from now on.
    const versions = [
      { version: 'v2', instances: [{ id: 'svc/v2/0', host: '127.0.0.1', port: rig.canary.port, zone: null }] },
    ];
    await rig.gateway.apply({ stable: [], route: { stable: 'v2', versions, drainMs: 0 } });
    await client.closed();
    const departed = rig.gateway.engine.state().services[0]!.departed;
    expect(departed).toMatchObject([{ version: 'v1', open: 0, cut: 1 }]);
  });
});

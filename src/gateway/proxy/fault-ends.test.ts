/** What a fault does to requests ends when the fault does, whichever way it ends, and leaves nothing behind. */
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import type { FaultAction, FaultReport, FaultRule } from '../../traffic/faults.ts';
import { answering, connectRaw, get, statusOf, type TestGateway } from '../testing/harness.ts';
import { closedAfterEach, openedForTest } from '../testing/opened.ts';

const { upstream, gatewayTo } = openedForTest();
const open = closedAfterEach();

const BODY = 'x'.repeat(200_000);
const page = answering(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
/** Each of them would hold its request for longer than a test may take. */
const holding: [string, FaultAction][] = [
  ['delay', { kind: 'delay', delayMs: 60_000 }],
  ['bandwidth', { kind: 'bandwidth', bytesPerSecond: 1 }],
  ['blackhole', { kind: 'blackhole' }],
];

function rule(action: FaultAction, ttlMs = 60_000): FaultRule {
  return { id: 'x-1', action, ttlMs, scope: { service: 'svc', version: null, instances: null, zone: null, share: 1 } };
}

const report = (gateway: TestGateway): FaultReport => gateway.engine.faultReports()[0]!;
const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
const held = (gateway: TestGateway, count: number) => until(() => report(gateway).held === count);

async function heldRequest(action: FaultAction, ttlMs?: number) {
  const one = await upstream(page);
  const gateway = await gatewayTo({ stable: [one], route: { timeoutMs: 100_000, edgesMs: [600, 650] } });
  gateway.engine.inject([rule(action, ttlMs)]);
  const client = connectRaw(gateway.port);
  open.push(() => client.socket.destroy());
  client.send(get());
  return { one, gateway, client };
}

const isWhole = (text: string) => statusOf(text) === 200 && text.endsWith(`\r\n\r\n${BODY}`);

describe('a request that a fault holds', () => {
  it.each(holding)('%s: goes on whole when the fault is cleared', async (_kind, action) => {
    const { gateway, client, one } = await heldRequest(action);
    await held(gateway, 1);
    if (action.kind === 'bandwidth') await until(() => one.received() !== '');
    gateway.engine.clearFaults(['x-1']);
    expect(isWhole(await client.closed())).toBe(true);
    expect(report(gateway)).toMatchObject({ held: 0, expiresInMs: 0 });
  });

  it.each(holding)('%s: goes on whole when the lease of the fault ends', async (_kind, action) => {
    const { gateway, client } = await heldRequest(action, 300);
    expect(isWhole(await client.closed())).toBe(true);
    expect(report(gateway)).toMatchObject({ held: 0, expiresInMs: 0 });
  });

  it.each(holding)('%s: is let go when its client leaves', async (_kind, action) => {
    const { gateway, client } = await heldRequest(action);
    await held(gateway, 1);
    client.socket.resetAndDestroy();
    await held(gateway, 0);
  });

  it('delay: what was cut short is no delay that was measured, and a fault that is prolonged goes on', async () => {
    const { gateway, client } = await heldRequest({ kind: 'delay', delayMs: 1_500 }, 1_000);
    await held(gateway, 1);
    gateway.engine.inject([rule({ kind: 'delay', delayMs: 1_500 })]);
    expect(isWhole(await client.closed())).toBe(true);
    expect(report(gateway)).toMatchObject({ injected: 1, delayed: 1 });
    expect(report(gateway).addedMsSum).toBeGreaterThanOrEqual(1_500);

    const cut = await heldRequest({ kind: 'delay', delayMs: 60_000 });
    await held(cut.gateway, 1);
    cut.gateway.engine.clearFaults('all');
    await cut.client.closed();
    expect(report(cut.gateway)).toMatchObject({ injected: 1, delayed: 0, addedMsSum: 0 });
  });

  it('delay: the version is not charged with the time', async () => {
    const { gateway, client } = await heldRequest({ kind: 'delay', delayMs: 60_000 }, 700);
    await client.closed();
    expect(gateway.engine.counters().services[0]!.instances[0]!.firstTry).toMatchObject({ requests: 1, over: [0, 0] });
  });
});

describe('a try that is given up under a fault', () => {
  it('leaves no timer, however often it is tried again', async () => {
    const one = await upstream(answering('HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno'));
    const retries = { maxTries: 3, perTryMs: 5_000, budgetShare: 1 };
    const gateway = await gatewayTo({ stable: [one], route: { retries } });
    await gateway.exchange(get());
    const before = timers();
    gateway.engine.inject([rule({ kind: 'bandwidth', bytesPerSecond: 1_000_000 })]);
    for (let i = 0; i < 20; i++) expect(statusOf(await gateway.exchange(get()))).toBe(503);
    await until(() => timers() <= before);
    expect(report(gateway).held).toBe(0);
  });

  it('is never sent when its delay would have been over: the next try has its place', async () => {
    const one = await upstream();
    const retries = { maxTries: 2, perTryMs: 200, budgetShare: 1 };
    const gateway = await gatewayTo({ stable: [one], route: { retries } });
    gateway.engine.inject([rule({ kind: 'delay', delayMs: 300 })]);
    const client = connectRaw(gateway.port);
    client.send('GET /first HTTP/1.1\r\nHost: svc\r\n\r\n');
    await client.until(/504 /);
    gateway.engine.clearFaults('all');
    // The connection goes on: a timer of the tries before would send what it carries now, once more.
    one.script = (connection) => void setTimeout(() => answering()(connection), 150);
    client.send('POST /second HTTP/1.1\r\nHost: svc\r\nContent-Length: 0\r\n\r\n');
    await client.until(/ok$|504 .*504 /s);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(one.received().match(/\w+ \/\w+/g)).toEqual(['POST /second']);
    client.socket.destroy();
  });
});

describe('a slow client under a limited bandwidth', () => {
  it('is waited for: what it does not read is not heaped up', async () => {
    const size = 32 * 1024 * 1024;
    const one = await upstream(({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      socket.write(Buffer.alloc(size));
    });
    const gateway = await gatewayTo({ stable: [one] });
    gateway.engine.inject([rule({ kind: 'bandwidth', bytesPerSecond: 1e9 })]);
    const client = connectRaw(gateway.port);
    client.socket.pause();
    client.send(get());
    await until(() => one.connections.length === 1 && one.connections[0]!.socket.writableLength > 0);
    let left = 0;
    // The kernels' buffers fill, and then nothing moves.
    await until(() => {
      const before = left;
      left = one.connections[0]!.socket.writableLength;
      return before === left;
    });
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(one.connections[0]!.socket.writableLength).toBeGreaterThan(size / 2);
    client.socket.destroy();
  });
});

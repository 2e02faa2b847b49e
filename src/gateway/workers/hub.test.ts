import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { testPort } from '../../lib/test-port.fixture.ts';
import {
  answering,
  connectRaw,
  get,
  type RouteParts,
  startUpstream,
  statusOf,
  type TestUpstream,
  tableOf,
} from '../testing/harness.ts';
import { steadyClients } from '../testing/steady-clients.ts';
import { Hub } from './hub.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
let hub: Hub;
let upstream: TestUpstream;
let port: number;

async function start(count: number, route: RouteParts['route'] = {}): Promise<void> {
  upstream = await startUpstream(answering());
  port = await testPort();
  hub = new Hub(MAIN, count, Buffer.alloc(32, 1));
  await hub.ready();
  await hub.apply(tableOf(port, 1, { stable: [upstream], route }));
}

afterEach(async () => {
  await hub.drain(10_000);
  await upstream.close();
});

async function exchange(): Promise<string> {
  const client = connectRaw(port);
  client.send(get());
  return client.closed();
}

async function many(count: number, width: number): Promise<number[]> {
  const statuses: number[] = [];
  const drive = async () => {
    while (statuses.length < count) statuses.push(statusOf(await exchange()));
  };
  await Promise.all(Array.from({ length: width }, drive));
  return statuses;
}

const total = async () =>
  (await hub.counters()).services[0]!.instances.reduce((sum, { outcome }) => sum + outcome.requests, 0);

describe('several processes as one gateway', () => {
  it('share the port, add up their counts, and expose one truth', async () => {
    await start(2);
    const statuses = await many(300, 20);
    expect(statuses.every((status) => status === 200)).toBe(true);
    expect(await total()).toBe(statuses.length);
    const text = await hub.exposition();
    expect(text.match(/davy_gateway_resident_memory_bytes\{/g)).toHaveLength(2);
    expect(Number(/istio_requests_total\{[^}]*response_code="200"[^}]*\} (\d+)/.exec(text)?.[1])).toBe(statuses.length);
    expect(await hub.state()).toMatchObject({ generation: 1, services: [{ service: 'svc' }] });
  });

  it('refuse older tables as one, and replace a dead worker without failing requests on the others', async () => {
    await start(2);
    await expect(hub.apply(tableOf(port, 0, { stable: [upstream] }))).rejects.toMatchObject({
      code: 'stale-generation',
    });
    await many(50, 5);
    await total();
    const [victim] = hub.pids();
    process.kill(victim as number, 'SIGKILL');
    while (hub.pids().includes(victim)) await new Promise((resolve) => setTimeout(resolve, 5));
    // Only the survivor is left, or a successor that has the table.
    expect((await many(100, 5)).every((status) => status === 200)).toBe(true);
    while (hub.pids().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await many(100, 10)).every((status) => status === 200)).toBe(true);
    expect(await total()).toBeGreaterThanOrEqual(250);
  });

  it('killed under load, a worker fails no request but those on its own connections', async () => {
    await start(2);
    const width = 30;
    const clients = await steadyClients(port, { width, everyMs: 4, reconnect: true });
    const sentAfter = async (count: number) => {
      const from = clients.sent();
      while (clients.sent() < from + count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    await sentAfter(4 * width);
    expect(clients.failed()).toBe(0);
    const [victim] = hub.pids();
    process.kill(victim as number, 'SIGKILL');
    while (hub.pids().includes(victim)) await new Promise((resolve) => setTimeout(resolve, 5));
    // By now every client had its turn: who was connected to the victim knows, and has connected again.
    await sentAfter(width);
    const lost = clients.failed();
    expect(lost, 'no more than one request on each connection of the victim').toBeLessThan(width);
    await sentAfter(4 * width);
    while (hub.pids().length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    await sentAfter(4 * width);
    const { failed, refused } = await clients.stop();
    expect({ failed: failed.length, refused }).toEqual({ failed: lost, refused: 0 });
  });

  it.each([1, 2, 3, 40])(
    'keep one burst of %i between four of them, whole, from the first request on',
    async (burst) => {
      await start(4, { rateLimit: { perSecond: 0.001, burst } });
      expect(statusOf(await exchange())).toBe(200);
      const statuses = await many(120, 20);
      expect(1 + statuses.filter((status) => status === 200).length).toBe(burst);
      expect((await hub.counters()).services[0]!.own.limiter).toBe(1 + statuses.length - burst);
    },
  );

  it('keep one rate between four of them', async () => {
    await start(4, { rateLimit: { perSecond: 100, burst: 20 } });
    const startedMs = performance.now();
    let admitted = 0;
    while (performance.now() - startedMs < 1_500) {
      admitted += (await many(60, 20)).filter((status) => status === 200).length;
    }
    const allowed = 20 + (performance.now() - startedMs) / 10;
    expect(admitted).toBeLessThanOrEqual(allowed + 1);
    expect(admitted).toBeGreaterThanOrEqual(allowed * 0.7);
  });

  it('put faults in force everywhere', async () => {
    await start(2);
    expect(
      await hub.inject([
        {
          id: 'x',
          action: { kind: 'abort', status: 500 },
          ttlMs: 60_000,
          scope: { service: 'svc', version: null, instances: null, zone: null, share: 1 },
        },
      ]),
    ).toBeNull();
    const statuses = await many(40, 8);
    expect(new Set(statuses)).toEqual(new Set([500]));
    expect((await hub.faultReports())[0]!.injected).toBe(statuses.length);
    await hub.clearFaults('all');
    expect(new Set(await many(20, 4))).toEqual(new Set([200]));
  });
});

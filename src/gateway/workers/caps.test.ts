/** Limits of what there may be at once hold for the service, whatever the number of processes that count. */
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { testPort } from '../../lib/test-port.fixture.ts';
import { until } from '../../lib/until.fixture.ts';
import {
  connectRaw,
  get,
  type RawClient,
  type RouteParts,
  startUpstream,
  statusOf,
  type TestUpstream,
  tableOf,
} from '../testing/harness.ts';
import { Hub } from './hub.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
const PROCESSES = 4;
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';
let hub: Hub;
let upstream: TestUpstream;
let port: number;
let generation = 0;

beforeAll(async () => {
  port = await testPort();
  hub = new Hub(MAIN, PROCESSES, Buffer.alloc(32, 1));
  await hub.ready();
});
afterEach(() => upstream.close());
afterAll(() => hub.drain(2_000));

/** The instance answers nothing until it is told to. */
async function start(route: RouteParts['route']): Promise<void> {
  upstream = await startUpstream(() => {});
  await hub.apply(tableOf(port, ++generation, { stable: [upstream], route: { timeoutMs: 60_000, ...route } }));
}

function send(count: number, request = get()): RawClient[] {
  return Array.from({ length: count }, () => {
    const client = connectRaw(port);
    client.send(request);
    return client;
  });
}

const statuses = (clients: RawClient[]) => clients.map((client) => statusOf(client.received()));
const decided = (clients: RawClient[]) => clients.filter((client) => client.received() !== '');
const arrived = () => upstream.connections.filter(({ received }) => received.includes('\r\n\r\n'));

function answerAll(): void {
  for (const connection of arrived()) {
    connection.received = '';
    connection.socket.write(OK);
  }
}

describe('caps over four processes', () => {
  it.each([10, 3, 1])('let %i requests be in progress, and as many again when those are over', async (requests) => {
    await start({ caps: { maxRequests: requests } });
    for (let round = 0; round < 3; round++) {
      const clients = send(requests + 8);
      await until(() => decided(clients).length === 8 && arrived().length === requests);
      expect(statuses(decided(clients))).toEqual(new Array(8).fill(503));
      answerAll();
      await Promise.all(clients.map((client) => client.closed()));
      expect(statuses(clients).filter((status) => status === 200)).toHaveLength(requests);
    }
  });

  it('let as many connections to an instance be open as are declared, idle ones in other processes included', async () => {
    await start({ caps: { maxConnections: 3 } });
    for (let round = 0; round < 4; round++) {
      const clients = send(3 + 5);
      await until(() => decided(clients).length === 5 && arrived().length === 3);
      expect(statuses(decided(clients))).toEqual(new Array(5).fill(503));
      expect(upstream.connections.filter(({ socket }) => !socket.destroyed).length).toBeLessThanOrEqual(3);
      answerAll();
      await Promise.all(clients.map((client) => client.closed()));
      expect(statuses(clients).filter((status) => status === 200)).toHaveLength(3);
    }
  });

  it('let as many tunnels be open as are declared', async () => {
    const tunnelled = await startUpstream(() => {});
    const target = `127.0.0.1:${tunnelled.port}`;
    const connect = { allow: [target], privateAddresses: true, maxTunnels: 2, connectMs: 5_000, idleMs: 60_000 };
    await start({ connect });
    const clients = send(7, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
    await until(() => decided(clients).length === 7);
    expect(statuses(clients).toSorted()).toEqual([200, 200, 503, 503, 503, 503, 503]);
    for (const client of clients) client.socket.destroy();
    await tunnelled.close();
  });

  it('get back what a process held that died', async () => {
    await start({ caps: { maxRequests: 4 } });
    const clients = send(4);
    await until(() => arrived().length === 4);
    for (const pid of hub.pids()) process.kill(pid as number, 'SIGKILL');
    await Promise.all(clients.map((client) => client.closed()));
    await hub.ready();
    const others = send(4);
    await until(() => arrived().length === 8);
    answerAll();
    await Promise.all(others.map((client) => client.closed()));
    expect(statuses(others)).toEqual([200, 200, 200, 200]);
  });
});

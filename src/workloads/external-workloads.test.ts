import dns from 'node:dns';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { workloadsContract } from '../../test/contract/workloads.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { testPort } from '../lib/test-port.fixture.ts';
import { shopSpec } from './shop-spec.fixture.ts';
import { openWorkloads } from './supervisor.ts';

const ids = ['shop/v1/1', 'shop/v1/2', 'shop/v2/1'];

async function serveHealth(status: () => number): Promise<{ server: Server; url: string }> {
  const server = createServer((_, response) => response.writeHead(status()).end());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

function open(endpoints: { v1: string[]; v2: string[] }) {
  const runDir = mkdtempSync(join(tmpdir(), 'davy-external-'));
  const workloads = openWorkloads({
    ...{ spec: shopSpec({ endpoints }), runDir, logDir: join(runDir, 'log'), baseDir: runDir },
    ...{ clock: systemClock, log: () => {} },
  });
  return { workloads, runDir };
}

workloadsContract('external', async () => {
  const broken = new Set<string>();
  const servers = await Promise.all(ids.map((id) => serveHealth(() => (broken.has(id) ? 503 : 200))));
  const [a, b, c] = servers.map((server) => server.url) as [string, string, string];
  const { workloads, runDir } = open({ v1: [a, b], v2: [c] });
  return {
    workloads,
    runsInstances: false,
    breakHealth: async (id) => void broken.add(id),
    mendHealth: async (id) => void broken.delete(id),
    async until(condition) {
      while (!condition()) await sleep(systemClock, 10);
    },
    settle: (promise) => promise,
    async dispose() {
      for (const { server } of servers) server.close();
      rmSync(runDir, { recursive: true, force: true });
    },
  };
});

test('an endpoint where nothing listens is unhealthy from the first answer on', async () => {
  const port = await testPort();
  const dead = `http://127.0.0.1:${port}`;
  const { workloads, runDir } = open({ v1: [dead], v2: [dead] });
  await workloads.start();
  expect(workloads.list()[0]).toMatchObject({ port, phase: 'unhealthy', problem: 'nothing listens on its port' });
  await workloads.stop();
  rmSync(runDir, { recursive: true, force: true });
});

/** One port at three addresses: `127.0.0.2` and `127.0.0.3` are served, at `127.0.0.4` nothing listens. */
async function servedTwice(health: Record<string, number>) {
  const servers = new Map<string, Server>();
  let port = 0;
  for (const host of ['127.0.0.2', '127.0.0.3']) {
    const server = createServer((_, response) => response.writeHead(health[host] ?? 200).end());
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    port = (server.address() as AddressInfo).port;
    servers.set(host, server);
  }
  return { port, close: () => [...servers.values()].map((server) => server.close()) };
}

test.each<[string, string[], string[], Record<string, number>]>([
  ['follows its name', ['127.0.0.2'], ['127.0.0.3'], {}],
  ['keeps to its address as long as the name has it', ['127.0.0.2'], ['127.0.0.3', '127.0.0.2'], {}],
  ['goes to the next address where the first one refuses', ['127.0.0.4', '127.0.0.2'], ['127.0.0.4', '127.0.0.2'], {}],
  [
    'goes to the next address where the first one fails its check',
    ['127.0.0.3'],
    ['127.0.0.3', '127.0.0.2'],
    { '127.0.0.3': 503 },
  ],
])('an endpoint by name %s, and says where it is', async (_what, before, after, health) => {
  let addresses = before;
  let asked = 0;
  const system = dns.lookup;
  const lookup = (name: string, options: dns.LookupOptions, done: (...found: unknown[]) => void): void => {
    if (name !== 'moving.test') system(name, options, done);
    else
      setImmediate(
        done,
        null,
        addresses.map((address) => ({ address, family: 4 })),
      );
    if (name === 'moving.test') asked++;
  };
  const spy = vi.spyOn(dns, 'lookup').mockImplementation(lookup as typeof dns.lookup);
  const served = await servedTwice(health);
  const url = `http://moving.test:${served.port}`;
  const { workloads, runDir } = open({ v1: [url], v2: [url] });
  const status = () => workloads.list()[0]!;
  let told: string | undefined;
  workloads.subscribe(() => {
    told = status().address;
  });
  await workloads.start();
  addresses = after;
  const expected = after.includes('127.0.0.2') ? '127.0.0.2' : '127.0.0.3';
  await vi.waitUntil(() => told === expected && status().phase === 'ready', { timeout: 100_000 });
  const seen = asked;
  await vi.waitUntil(() => asked > seen + 2, { timeout: 100_000 });
  expect(status()).toMatchObject({ host: 'moving.test', port: served.port, phase: 'ready', address: expected });
  await workloads.stop();
  served.close();
  spy.mockRestore();
  rmSync(runDir, { recursive: true, force: true });
});

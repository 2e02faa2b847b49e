import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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

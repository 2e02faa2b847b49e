import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { faultPlaneContract } from '../../test/contract/fault-plane.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { testPort } from '../lib/test-port.fixture.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { readGatewayConnection } from './gateway-admin.ts';
import { connectGateway } from './gateway-driver.ts';
import { createMemoryFaultPlane } from './memory-faults.ts';
import type { RoutingTable } from './model.ts';

faultPlaneContract('memory', async () => {
  const clock = createVirtualClock();
  const plane = createMemoryFaultPlane(clock, () => 0);
  return {
    faults: plane,
    async request() {
      const hit = plane.request({ service: 'shop', version: 'v1', instance: 'shop/v1/1', zone: null });
      const aborted = hit?.action.kind === 'abort' ? hit.action.status : null;
      return { status: aborted ?? 200, faultId: aborted === null ? null : hit!.id };
    },
    pass: (ms) => clock.advance(ms),
    restart: async () => plane.restart(),
    dispose: async () => {},
  };
});

const gatewayMain = join(import.meta.dirname, '../gateway/main.ts');

async function startGateway(runDir: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [gatewayMain, '--run-dir', runDir], { stdio: 'inherit' });
  for (;;) {
    if (existsSync(join(runDir, 'gateway.json')) && readGatewayConnection(runDir).pid === child.pid) return child;
    if (child.exitCode !== null) throw new Error('the gateway ended at once');
    await sleep(systemClock, 5);
  }
}

faultPlaneContract('gateway', async () => {
  const runDir = mkdtempSync(join(tmpdir(), 'davy-faults-'));
  const service = createServer((_, response) => response.end('ok'));
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  let child = await startGateway(runDir);
  const client = connectGateway({ runDir });
  const port = await testPort();
  await client.dataPlane.apply(tableFor(port, (service.address() as AddressInfo).port));
  return {
    faults: client.faults,
    async request() {
      const answer = await request(`http://127.0.0.1:${port}/`);
      await answer.body.dump();
      const faultId = answer.headers['x-fault-injected'];
      return {
        status: answer.statusCode,
        faultId: typeof faultId === 'string' ? faultId : null,
      };
    },
    pass: (ms) => sleep(systemClock, ms),
    async restart() {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
      child = await startGateway(runDir);
    },
    async dispose() {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
      await client.close();
      service.close();
      rmSync(runDir, { recursive: true, force: true });
    },
  };
});

function tableFor(listenPort: number, instancePort: number): RoutingTable {
  const instance = { id: 'shop/v1/1', host: '127.0.0.1', port: instancePort, zone: null };
  return {
    term: 1,
    generation: 1,
    services: [
      {
        ...{ service: 'shop', listenHost: '127.0.0.1', listenPort, stable: 'v1', canary: null },
        versions: [{ version: 'v1', instances: [instance] }],
        ...{ timeoutMs: 2_000, retries: null, ejection: null, rateLimit: null, edgesMs: [10, 100] },
      },
    ],
  };
}

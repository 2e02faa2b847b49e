import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dataPlaneContract, tableWith } from '../../test/contract/dataplane.ts';
import { sleep, systemClock } from '../lib/clock.ts';
import { testPort } from '../lib/test-port.fixture.ts';
import { connectGatewayMetrics } from '../metrics/gateway-source.ts';
import { readGatewayConnection } from './gateway-admin.ts';
import { connectGateway } from './gateway-driver.ts';

const MAIN = join(import.meta.dirname, '../gateway/main.ts');

async function startGateway(runDir: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [MAIN, '--run-dir', runDir], { stdio: 'inherit' });
  for (;;) {
    if (existsSync(join(runDir, 'gateway.json')) && readGatewayConnection(runDir).pid === child.pid) return child;
    if (child.exitCode !== null) throw new Error('the gateway ended at once');
    await sleep(systemClock, 5);
  }
}

async function createRig() {
  const runDir = mkdtempSync(join(tmpdir(), 'davy-gateway-'));
  let child = await startGateway(runDir);
  const client = connectGateway({ runDir });
  const ports: [number, number] = [await testPort(), await testPort()];
  return {
    ...client,
    runDir,
    ports,
    pid: () => child.pid as number,
    pass: (ms: number) => sleep(systemClock, ms),
    restart: async () => {
      const exit = once(child, 'exit');
      child.kill('SIGKILL');
      await exit;
      child = await startGateway(runDir);
      // The first call finds the old address dead; the next one reads the new one.
      await client.dataPlane.observe().catch(() => {});
    },
    stop: async () => {
      const exit = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
      child.kill('SIGKILL');
      await exit;
      await client.close();
      rmSync(runDir, { recursive: true });
    },
  };
}

dataPlaneContract('gateway process', createRig);

describe('gateway driver', () => {
  it('names the port that cannot be had and keeps the old table', async () => {
    const rig = await createRig();
    const squatter = createServer().listen(rig.ports[1], '127.0.0.1');
    await once(squatter, 'listening');
    await rig.dataPlane.apply(tableWith(1, rig.ports[0]));
    const moved = rig.dataPlane.apply(tableWith(2, rig.ports[1]));
    await expect(moved).rejects.toMatchObject({
      code: 'traffic/port-in-use',
      message: expect.stringContaining(`:${rig.ports[1]}`),
    });
    expect((await rig.dataPlane.observe()).generation).toBe(1);
    squatter.close();
    await rig.stop();
  });

  it('is unreachable, not empty, when the gateway is gone', async () => {
    const rig = await createRig();
    process.kill(rig.pid(), 'SIGKILL');
    const metrics = connectGatewayMetrics({ runDir: rig.runDir });
    await expect(metrics.read()).rejects.toMatchObject({ code: 'traffic/unreachable' });
    await metrics.close();
    await rig.stop();
  });

  it('refuses another token, and asks for none to be guessed by time', async () => {
    const rig = await createRig();
    const other = connectGateway({ connection: { ...readGatewayConnection(rig.runDir), token: 'guess' } });
    await expect(other.dataPlane.observe()).rejects.toMatchObject({ code: 'traffic/unauthorized' });
    await other.close();
    await rig.stop();
  });

  it('ends on request and removes its file', async () => {
    const rig = await createRig();
    await rig.drain();
    for (let i = 0; i < 400 && existsSync(join(rig.runDir, 'gateway.json')); i++) await sleep(systemClock, 10);
    expect(existsSync(join(rig.runDir, 'gateway.json'))).toBe(false);
    await rig.stop();
  });
});

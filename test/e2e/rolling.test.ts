import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type App, openApp } from '../../src/app.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { loadSpec } from '../../src/spec/load.ts';
import type { InstanceStatus } from '../../src/workloads/workloads.ts';
import { QUICK_POLICY, specOf } from './harness.ts';

const LOAD_PER_SECOND = 200;

let folder: string;
let app: App;
let port: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'davy-e2e-'));
  port = await testPort();
  const file = join(folder, 'davy.yaml');
  writeFileSync(file, specOf({ shop: { port, versions: {} } }, QUICK_POLICY));
  const { spec } = await loadSpec(file);
  const places = { dataDir: join(folder, '.davy'), host: '127.0.0.1', port: 0 };
  const env = { DAVY_TOKEN: 't'.repeat(32), XDG_RUNTIME_DIR: folder };
  app = await openApp({ spec, ...places, env, say: () => {}, onFatal: () => {} });
});

afterEach(async () => {
  await app.stop();
  rmSync(folder, { recursive: true, force: true });
});

function ready(isNext: (status: InstanceStatus) => boolean): Promise<void> {
  return new Promise((resolve) => {
    const unsubscribe = app.workloads.subscribe(look);
    function look(): void {
      if (!app.workloads.list().some((status) => status.phase === 'ready' && isNext(status))) return;
      unsubscribe();
      resolve();
    }
    look();
  });
}

it('every instance is replaced, one after the other, at 200 requests per second: no request fails', async () => {
  await ready(({ id }) => id === 'shop/v1/1');
  await ready(({ id }) => id === 'shop/v1/2');
  const load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: LOAD_PER_SECOND }));
  const before = app.workloads.list();
  for (const round of [1, 2]) {
    for (const { id, pid } of round === 1 ? before : app.workloads.list()) {
      await app.workloads.replace(id);
      await ready((status) => status.id === id && status.pid !== pid);
    }
  }
  const { counts } = await load.stop();
  expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
  expect(counts.requests).toBeGreaterThan(LOAD_PER_SECOND);
  const pids = (list: InstanceStatus[]) => list.map(({ pid }) => pid);
  expect(pids(app.workloads.list()).filter((pid) => pids(before).includes(pid))).toEqual([]);
});

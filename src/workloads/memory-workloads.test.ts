import { expect, test } from 'vitest';
import { workloadsContract } from '../../test/contract/workloads.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { createMemoryWorkloads } from './memory-workloads.ts';
import { shopSpec } from './shop-spec.fixture.ts';

async function passing<T>(clock: ReturnType<typeof createVirtualClock>, promise: Promise<T>): Promise<T> {
  let settled = false;
  const done = (): boolean => (settled = true);
  promise.then(done, done);
  while (!settled) await clock.advance(10);
  return promise;
}

workloadsContract('memory', async () => {
  const clock = createVirtualClock();
  const workloads = createMemoryWorkloads({ spec: shopSpec(['server']), clock });
  return {
    workloads,
    runsInstances: true,
    breakHealth: async (id) => workloads.breakHealth(id, 'GET /q/health answered 503'),
    mendHealth: async (id) => workloads.mendHealth(id),
    async until(condition) {
      while (!condition()) await clock.advance(10);
    },
    settle: (promise) => passing(clock, promise),
    dispose: async () => {},
  };
});

test('a crashed instance comes back after the back-off and counts the restart', async () => {
  const clock = createVirtualClock();
  const workloads = createMemoryWorkloads({ spec: shopSpec(['server']), clock, startupMs: 100, backOffMs: 200 });
  await passing(clock, workloads.start());
  workloads.crash('shop/v1/1', 'was killed by SIGKILL');
  expect(workloads.list()[0]).toMatchObject({ phase: 'backing-off', problem: 'was killed by SIGKILL' });
  await clock.advance(200);
  expect(workloads.list()[0]).toMatchObject({ phase: 'starting', restarts: 1 });
  await clock.advance(100);
  expect(workloads.list()[0]).toMatchObject({ phase: 'ready', problem: null });
});

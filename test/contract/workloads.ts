import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { InstanceStatus, Workloads } from '../../src/workloads/workloads.ts';

/**
 * One driver over the service `shop` with version `v1` (two instances) and `v2` (one), and the means to break it.
 * `until` lets time pass (virtual or real) until the condition holds.
 */
export interface WorkloadsHarness {
  workloads: Workloads;
  /** Whether the driver starts the instances itself. */
  runsInstances: boolean;
  breakHealth(instanceId: string): Promise<void>;
  mendHealth(instanceId: string): Promise<void>;
  until(condition: () => boolean): Promise<void>;
  /** Like `await promise`, while time passes. */
  settle<T>(promise: Promise<T>): Promise<T>;
  dispose(): Promise<void>;
}

const allIds = ['shop/v1/1', 'shop/v1/2', 'shop/v2/1'];

/** What every driver of the Workloads port must do. */
export function workloadsContract(driver: string, open: () => Promise<WorkloadsHarness>): void {
  describe(`${driver} keeps the Workloads contract`, () => {
    let harness: WorkloadsHarness;
    let workloads: Workloads;

    beforeEach(async () => {
      harness = await open();
      workloads = harness.workloads;
    });

    afterEach(async () => {
      await harness.settle(workloads.stop());
      await harness.dispose();
    });

    function status(id: string): InstanceStatus {
      const found = workloads.list().find((instance) => instance.id === id);
      if (!found) throw new Error(`${id} is not listed`);
      return found;
    }

    test('lists every declared instance with its address, and all ready after start', async () => {
      await harness.settle(workloads.start());
      expect(workloads.list().map((instance) => instance.id)).toEqual(allIds);
      for (const instance of workloads.list()) {
        expect(instance).toMatchObject({ service: 'shop', phase: 'ready', restarts: 0, problem: null });
        expect(instance.port).toBeGreaterThan(0);
        expect(instance.pid !== null || instance.startedAtMs !== null || !harness.runsInstances).toBe(true);
      }
      expect(new Set(workloads.list().map((instance) => instance.port)).size).toBe(3);
      expect(status('shop/v2/1').version).toBe('v2');
    });

    test('an instance that fails its health checks leaves the ready ones, says why, and returns when mended', async () => {
      await harness.settle(workloads.start());
      await harness.breakHealth('shop/v1/2');
      await harness.until(() => status('shop/v1/2').phase === 'unhealthy');
      expect(status('shop/v1/2').problem).toMatch(/503/);
      expect(status('shop/v1/1').phase).toBe('ready');
      await harness.mendHealth('shop/v1/2');
      await harness.until(() => status('shop/v1/2').phase === 'ready');
      expect(status('shop/v1/2').problem).toBeNull();
    });

    test('start resolves although one version never becomes ready, and the others serve', async () => {
      await harness.breakHealth('shop/v2/1');
      await harness.settle(workloads.start());
      expect(status('shop/v2/1').phase).not.toBe('ready');
      expect(status('shop/v2/1').problem).toMatch(/503/);
      expect(status('shop/v1/1').phase).toBe('ready');
      expect(status('shop/v1/2').phase).toBe('ready');
    });

    test('listeners hear of changes until they unsubscribe', async () => {
      let heard = 0;
      let heardByOther = 0;
      const unsubscribe = workloads.subscribe(() => heard++);
      workloads.subscribe(() => heardByOther++);
      await harness.settle(workloads.start());
      expect(heard).toBeGreaterThan(0);
      const [heardBefore, heardByOtherBefore] = [heard, heardByOther];
      unsubscribe();
      await harness.breakHealth('shop/v1/1');
      await harness.until(() => status('shop/v1/1').phase === 'unhealthy');
      expect(heard).toBe(heardBefore);
      expect(heardByOther).toBeGreaterThan(heardByOtherBefore);
    });

    test('replace starts an instance anew where Davy runs it, and refuses elsewhere', async () => {
      await harness.settle(workloads.start());
      if (harness.runsInstances) {
        await harness.settle(workloads.replace('shop/v1/1'));
        expect(status('shop/v1/1')).toMatchObject({ phase: 'ready', restarts: 1 });
        expect(status('shop/v1/2')).toMatchObject({ phase: 'ready', restarts: 0 });
      } else {
        await expect(workloads.replace('shop/v1/1')).rejects.toMatchObject({ code: 'workloads/not-ours' });
      }
    });

    test('replace of an unknown instance is refused', async () => {
      await expect(workloads.replace('shop/v9/1')).rejects.toMatchObject({ code: 'workloads/unknown-instance' });
    });

    test('after stop every instance is stopped and stays so', async () => {
      await harness.settle(workloads.start());
      await harness.settle(workloads.stop());
      expect(workloads.list().map((instance) => instance.phase)).toEqual(['stopped', 'stopped', 'stopped']);
      await harness.mendHealth('shop/v1/1');
      expect(status('shop/v1/1').phase).toBe('stopped');
    });
  });
}

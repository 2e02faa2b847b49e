import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DavyError } from '../../src/lib/error.ts';
import type { DataPlane } from '../../src/traffic/dataplane.ts';
import type { RoutingTable, ServiceRoute } from '../../src/traffic/model.ts';

/** One data plane under test, and what the suite needs to do to it. */
export interface DataPlaneRig {
  dataPlane: DataPlane;
  /** Two ports that are free on 127.0.0.1 (any two numbers where nothing listens). */
  ports: [number, number];
  /** Lets `ms` of the data plane's monotonic time pass. */
  pass(ms: number): Promise<void>;
  /** Ends the process and starts another one in its place. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A table with one service; `change` alters it. */
export function tableWith(
  generation: number,
  port: number,
  change: Partial<ServiceRoute> = {},
  term = 1,
): RoutingTable {
  const service: ServiceRoute = {
    service: 'service-b',
    listenHost: '127.0.0.1',
    listenPort: port,
    stable: 'v1',
    canary: null,
    versions: [
      { version: 'v1', instances: [] },
      { version: 'v2', instances: [] },
    ],
    timeoutMs: 7000,
    retries: null,
    ejection: null,
    rateLimit: null,
    edgesMs: [200, 500],
    ...change,
  };
  return { term, generation, services: [service] };
}

export function canary(weightBp: number, ttlMs = 60_000, release = 'service-b-1'): Partial<ServiceRoute> {
  return { canary: { version: 'v2', weightBp, release, header: 'x-canary', lease: { id: release, ttlMs } } };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'none';
  } catch (error) {
    return error instanceof DavyError ? error.code : String(error);
  }
}

/** What every data plane driver keeps. Run it on each of them. */
export function dataPlaneContract(name: string, create: () => Promise<DataPlaneRig>): void {
  describe(`data plane contract: ${name}`, () => {
    let rig: DataPlaneRig;
    beforeEach(async () => {
      rig = await create();
    });
    afterEach(() => rig.stop());

    const service = async () => (await rig.dataPlane.observe()).services[0];

    it('starts with nothing in force', async () => {
      const state = await rig.dataPlane.observe();
      expect(state).toMatchObject({ term: 0, generation: 0, services: [] });
      expect(state.bootId).not.toBe('');
    });

    it('puts a table in force and reads it back', async () => {
      await rig.dataPlane.apply(tableWith(3, rig.ports[0], canary(1000)));
      expect(await rig.dataPlane.observe()).toMatchObject({ term: 1, generation: 3 });
      expect(await service()).toMatchObject({
        stable: 'v1',
        canary: 'v2',
        effectiveWeightBp: 1000,
        leaseExpired: false,
      });
      expect((await service())?.exposure).toMatchObject({ release: 'service-b-1', requests: 0, lastRequestAtMs: null });
    });

    it('takes the same table twice', async () => {
      await rig.dataPlane.apply(tableWith(3, rig.ports[0]));
      await rig.dataPlane.apply(tableWith(3, rig.ports[0]));
      expect((await rig.dataPlane.observe()).generation).toBe(3);
    });

    it('refuses an older generation, an older term and another table of the same generation', async () => {
      await rig.dataPlane.apply(tableWith(5, rig.ports[0], canary(2500), 2));
      expect(await codeOf(rig.dataPlane.apply(tableWith(4, rig.ports[0], {}, 2)))).toBe('traffic/stale-generation');
      expect(await codeOf(rig.dataPlane.apply(tableWith(6, rig.ports[0], {}, 1)))).toBe('traffic/stale-generation');
      expect(await codeOf(rig.dataPlane.apply(tableWith(5, rig.ports[0], {}, 2)))).toBe('traffic/stale-generation');
      expect(await service()).toMatchObject({ effectiveWeightBp: 2500 });
    });

    it('refuses a table that contradicts itself, and keeps the one in force', async () => {
      await rig.dataPlane.apply(tableWith(1, rig.ports[0]));
      const bad: Partial<ServiceRoute>[] = [
        canary(33.3),
        canary(-5),
        canary(10_001),
        { stable: 'v9' },
        { listenPort: 0 },
        { edgesMs: [500, 200] },
        { canary: { version: 'v9', weightBp: 1, release: 'r-1', header: null, lease: { id: 'r-1', ttlMs: 1000 } } },
        { canary: { version: 'v1', weightBp: 1, release: 'r-1', header: null, lease: { id: 'r-1', ttlMs: 1000 } } },
        { canary: { version: 'v2', weightBp: 1, release: 'r-1', header: 'X Bad', lease: { id: 'r-1', ttlMs: 1000 } } },
      ];
      for (const change of bad)
        expect(await codeOf(rig.dataPlane.apply(tableWith(2, rig.ports[0], change)))).toBe('traffic/invalid-table');
      const twice = tableWith(2, rig.ports[0]);
      twice.services.push({ ...twice.services[0]!, service: 'service-c' });
      expect(await codeOf(rig.dataPlane.apply(twice))).toBe('traffic/invalid-table');
      expect((await rig.dataPlane.observe()).generation).toBe(1);
    });

    it('returns to stable when a lease is not renewed, and says so', async () => {
      await rig.dataPlane.apply(tableWith(1, rig.ports[0], canary(5000, 1000)));
      await rig.pass(1100);
      expect(await service()).toMatchObject({ canary: 'v2', effectiveWeightBp: 0, leaseExpired: true });
      expect(await rig.dataPlane.renew(['service-b-1', 'nobody'])).toEqual(['service-b-1', 'nobody']);
      expect((await service())?.effectiveWeightBp).toBe(0);
      await rig.dataPlane.apply(tableWith(1, rig.ports[0], canary(5000, 1000)));
      expect(await service()).toMatchObject({ effectiveWeightBp: 5000, leaseExpired: false });
    });

    it('keeps a lease that is renewed', async () => {
      await rig.dataPlane.apply(tableWith(1, rig.ports[0], canary(5000, 2000)));
      for (let i = 0; i < 6; i++) {
        await rig.pass(400);
        expect(await rig.dataPlane.renew(['service-b-1'])).toEqual([]);
      }
      expect(await service()).toMatchObject({ effectiveWeightBp: 5000, leaseExpired: false });
    });

    it('keeps the exposure of a release until another one begins', async () => {
      await rig.dataPlane.apply(tableWith(1, rig.ports[0]));
      expect((await service())?.exposure).toBeNull();
      await rig.dataPlane.apply(tableWith(2, rig.ports[0], canary(1000)));
      await rig.dataPlane.apply(tableWith(3, rig.ports[0]));
      expect((await service())?.exposure).toMatchObject({ release: 'service-b-1' });
      await rig.dataPlane.apply(tableWith(4, rig.ports[0], canary(1000, 60_000, 'service-b-2')));
      expect((await service())?.exposure).toMatchObject({ release: 'service-b-2' });
    });

    it('adds and removes services', async () => {
      const two = tableWith(1, rig.ports[0]);
      two.services.push({ ...two.services[0]!, service: 'service-c', listenPort: rig.ports[1] });
      await rig.dataPlane.apply(two);
      expect((await rig.dataPlane.observe()).services.map((route) => route.service)).toEqual([
        'service-b',
        'service-c',
      ]);
      await rig.dataPlane.apply(tableWith(2, rig.ports[1]));
      expect((await rig.dataPlane.observe()).services.map((route) => route.service)).toEqual(['service-b']);
    });

    it('forgets everything with its process, under another boot id', async () => {
      await rig.dataPlane.apply(tableWith(7, rig.ports[0], canary(1000)));
      const before = await rig.dataPlane.observe();
      await rig.restart();
      const after = await rig.dataPlane.observe();
      expect(after).toMatchObject({ generation: 0, services: [] });
      expect(after.bootId).not.toBe(before.bootId);
      await rig.dataPlane.apply(tableWith(7, rig.ports[0], canary(1000)));
      expect(await service()).toMatchObject({ effectiveWeightBp: 1000 });
    });
  });
}

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FaultPlane, FaultReport, FaultRule } from '../../src/traffic/faults.ts';

/** One driver for the service `shop` with version `v1`, instance `shop/v1/1`. */
export interface FaultPlaneHarness {
  faults: FaultPlane;
  /** Sends one request; resolves with what a client saw. */
  request(): Promise<{ status: number; faultId: string | null }>;
  /** Lets time pass (virtual or real). */
  pass(ms: number): Promise<void>;
  /** The data plane's process dies and starts anew. */
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

function rule(more: Partial<FaultRule> = {}): FaultRule {
  return {
    id: 'chaos-1',
    action: { kind: 'delay', delayMs: 80 },
    scope: { service: 'shop', version: null, instances: null, zone: null, share: 1 },
    ttlMs: 10_000,
    ...more,
  };
}

/** What every driver of the FaultPlane port must do. */
export function faultPlaneContract(driver: string, open: () => Promise<FaultPlaneHarness>): void {
  describe(`${driver} keeps the FaultPlane contract`, () => {
    let harness: FaultPlaneHarness;

    beforeEach(async () => {
      harness = await open();
    });
    afterEach(() => harness.dispose());

    async function report(id = 'chaos-1'): Promise<FaultReport | undefined> {
      return (await harness.faults.reports()).find((one) => one.id === id);
    }

    test('a delay is added, and measured where it acts', async () => {
      await harness.faults.inject([rule()]);
      expect(await harness.request()).toMatchObject({ status: 200 });
      const found = await report();
      expect(found).toMatchObject({ matched: 1, injected: 1, delayed: 1 });
      expect(found!.addedMsSum).toBeGreaterThanOrEqual(79);
      expect(found!.expiresInMs).toBeGreaterThan(0);
    });

    test('an abort answers by itself and names the fault', async () => {
      await harness.faults.inject([rule({ action: { kind: 'abort', status: 503 } })]);
      expect(await harness.request()).toMatchObject({ status: 503, faultId: 'chaos-1' });
    });

    test('outside its scope a fault does nothing', async () => {
      const elsewhere = { ...rule().scope, instances: ['shop/v1/2'] };
      await harness.faults.inject([rule({ scope: elsewhere, action: { kind: 'abort', status: 503 } })]);
      expect(await harness.request()).toMatchObject({ status: 200, faultId: null });
      expect(await report()).toMatchObject({ matched: 0, injected: 0 });
    });

    test('a fault ends by itself, whoever is left', async () => {
      await harness.faults.inject([rule({ ttlMs: 50, action: { kind: 'abort', status: 503 } })]);
      await harness.pass(100);
      expect(await harness.request()).toMatchObject({ status: 200 });
      expect(await report()).toMatchObject({ expiresInMs: 0 });
    });

    test('it tells for how long it was in force, and that it was interrupted', async () => {
      await harness.faults.inject([rule()]);
      await harness.pass(60);
      await harness.faults.inject([rule()]);
      const held = (await report())!;
      expect(held.begun).toBe(1);
      expect(held.inForceMs).toBeGreaterThanOrEqual(59);
      await harness.faults.clear(['chaos-1']);
      const ended = (await report())!;
      await harness.pass(60);
      expect(await report()).toMatchObject({ begun: 1, inForceMs: ended.inForceMs, expiresInMs: 0 });
      await harness.faults.inject([rule({ ttlMs: 1 })]);
      await harness.pass(60);
      // What it was away for does not count, nor does what comes after its lease.
      const again = (await report())!;
      expect(again.begun).toBe(2);
      expect(again.inForceMs - ended.inForceMs).toBeCloseTo(1, 5);
    });

    test('cleared means over at once; clearing twice or nothing is harmless', async () => {
      await harness.faults.inject([rule({ action: { kind: 'abort', status: 503 } })]);
      await harness.faults.clear(['chaos-1']);
      await harness.faults.clear(['chaos-1', 'chaos-9']);
      await harness.faults.clear('all');
      expect(await harness.request()).toMatchObject({ status: 200 });
    });

    test('a rule that cannot be is refused with the others; nothing is injected', async () => {
      const wrong = rule({ id: 'chaos-2', action: { kind: 'abort', status: 99 } });
      await expect(harness.faults.inject([rule(), wrong])).rejects.toMatchObject({ code: 'traffic/invalid-fault' });
      expect(await harness.faults.reports()).toEqual([]);
    });

    test('a restarted data plane has none', async () => {
      await harness.faults.inject([rule()]);
      await harness.restart();
      expect((await harness.faults.reports().catch(() => harness.faults.reports())).length).toBe(0);
    });
  });
}

import { once } from 'node:events';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { identify, isSame } from '../../src/lib/process.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { until } from '../../src/lib/until.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import type { FleetDoc } from '../../src/server/schemas.ts';
import { controllerPid } from './controller-pid.ts';
import { QUICK_POLICY, type Running, readPid, specOf, up } from './harness.ts';
import { recordsIn } from './records.ts';

/** So long that a release stays at its first step until a person moves it. */
const HOLDING_POLICY = QUICK_POLICY.replaceAll('hold: 3s', 'hold: 10m');

describe('a ledger that was put back from a copy', () => {
  let davy: Running;
  let next: Running | null;
  let load: Load;

  beforeEach(async () => {
    const port = await testPort();
    davy = await up(specOf({ shop: { port, versions: { v2: {} } } }, HOLDING_POLICY));
    next = null;
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 100 }));
  });
  afterEach(async () => {
    await load.stop().catch(() => {});
    next?.process.kill('SIGTERM');
    if (next && next.process.exitCode === null) await once(next.process, 'exit');
    await davy.end();
  });

  const copy = (): string => join(davy.folder, 'copy');
  const shop1 = (fleet: FleetDoc) => fleet.releases.find(({ id }) => id === 'shop-1');

  async function canaryAt20(): Promise<void> {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    await davy.until('the canary gets its share', (fleet) => fleet.services[0]?.effectiveWeightBp === 2000, 20_000);
    await davy.until('it was looked at', (fleet) => (shop1(fleet)?.heldMs ?? 0) > 1000, 20_000);
  }

  /** kill -9 of everything that writes the ledger; the gateway and the instances go on. */
  async function killControl(): Promise<void> {
    const controller = identify(controllerPid(davy.dataDir));
    davy.process.kill('SIGKILL');
    if (controller) process.kill(controller.pid, 'SIGKILL');
    await once(davy.process, 'exit');
    while (controller && isSame(controller)) await sleep(systemClock, 20);
  }

  function saveLedger(): void {
    cpSync(join(davy.dataDir, 'ledger'), copy(), { recursive: true });
  }

  function putBack(): void {
    rmSync(join(davy.dataDir, 'ledger'), { recursive: true });
    cpSync(copy(), join(davy.dataDir, 'ledger'), { recursive: true });
  }

  async function rolledBack(): Promise<void> {
    expect(await davy.davy('rollback', 'shop-1', '--reason', 'bad')).toMatchObject({ code: 0 });
    await davy.until('the canary gets nothing', (fleet) => shop1(fleet)?.zeroConfirmed === true, 20_000);
  }

  const inStep = ({ traffic }: FleetDoc): boolean => traffic.problem === null;

  it('does not bring back what was rolled back, says so everywhere, and goes on when a person decides', async () => {
    await canaryAt20();
    saveLedger();
    await rolledBack();
    const gateway = readPid(davy.dataDir, 'gateway-process.json');
    await killControl();
    putBack();
    next = await davy.again();
    const fleet = await next.until('traffic is in step', inStep, 20_000);
    expect(readPid(davy.dataDir, 'gateway-process.json')).toBe(gateway);
    expect(fleet.services[0]).toMatchObject({ stable: 'v1', effectiveWeightBp: 0 });
    expect(fleet.traffic.hold?.services).toMatchObject([{ canary: null, weightBp: 0, decidedBp: 2000, ends: true }]);
    expect(fleet.traffic.hold?.signs.map(({ by }) => by)).toEqual(['data plane generation', 'run folder']);

    expect((await next.davy('status')).stdout).toMatch(
      /HELD: records of the ledger are lost[\s\S]*shop stays at v1 alone/,
    );
    expect(await (await next.api('/metrics')).text()).toContain('davy_traffic_held 1');
    await until(() => next!.said().includes('HELD: records of this ledger are lost'));
    expect(recordsIn(davy.dataDir).filter(({ type }) => type === 'traffic.held')).toHaveLength(1);
    for (const args of [
      ['promote', 'shop-1', '--reason', 'x'],
      ['release', 'shop', 'v1', '--reason', 'x'],
    ]) {
      expect(await next.davy(...args)).toMatchObject({ code: 5, stderr: expect.stringContaining('release/blocked') });
    }

    const unsaid = await next.davy('continue', '--reason', 'the copy was older');
    expect(unsaid).toMatchObject({ code: 5, stderr: expect.stringContaining('release/loss-not-accepted') });
    expect(await next.davy('continue', '--accept-loss', '--reason', 'the copy was older')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('shop-1 has ended'),
    });
    const after = await next.until('the release has ended', (now) => shop1(now)?.phase === 'rolled-back', 20_000);
    expect(after.traffic.hold).toBeNull();
    expect(recordsIn(davy.dataDir).find(({ type }) => type === 'traffic.continued')).toMatchObject({
      actor: { kind: 'person' },
      data: { reason: 'the copy was older' },
    });
    expect(await next.davy('release', 'shop', 'v2', '--reason', 'again')).toMatchObject({ code: 0 });
    const { counts } = await load.stop();
    expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
  });

  it('serves, and lowers, where the gateway has seen controllers two terms later', async () => {
    await canaryAt20();
    saveLedger();
    for (let times = 0; times < 2; times++) {
      const before = controllerPid(davy.dataDir);
      process.kill(before, 'SIGKILL');
      await davy.until('the next controller', () => controllerPid(davy.dataDir) !== before, 20_000);
    }
    await davy.until('traffic is in step', inStep, 20_000);
    await killControl();
    putBack();
    next = await davy.again();
    const fleet = await next.until('traffic is in step', inStep, 20_000);
    expect(fleet.services[0]?.effectiveWeightBp).toBe(2000);
    expect(fleet.traffic.hold?.signs.map(({ by }) => by)).toContain('data plane term');
    expect(fleet.traffic.hold?.services).toMatchObject([{ canary: 'v2', weightBp: 2000, ends: false }]);
    expect(await next.davy('rollback', 'shop-1', '--reason', 'rather not')).toMatchObject({ code: 0 });
    await next.until('the canary gets nothing', (now) => now.services[0]?.effectiveWeightBp === 0, 20_000);
    const { counts } = await load.stop();
    expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
  });

  it('is found out by the run folder when the gateway has died, too', async () => {
    await canaryAt20();
    saveLedger();
    await rolledBack();
    await load.stop();
    await killControl();
    process.kill(readPid(davy.dataDir, 'gateway-process.json'), 'SIGKILL');
    putBack();
    next = await davy.again();
    const fleet = await next.until('traffic is in step', inStep, 20_000);
    expect(fleet.services[0]).toMatchObject({ stable: 'v1', effectiveWeightBp: 0 });
    expect(fleet.traffic.hold?.signs.map(({ by }) => by)).toEqual(['run folder']);
    expect(fleet.traffic.hold?.services).toMatchObject([{ canary: null, decidedBp: 2000, ends: true }]);
  });
});

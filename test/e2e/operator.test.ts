import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import type { FleetDoc, ReleaseDoc } from '../../src/server/schemas.ts';
import { QUICK_POLICY, type Running, specOf, up } from './harness.ts';

/** Holds so long that only a person moves the release. */
const PATIENT_POLICY = QUICK_POLICY.replace('weight: 20%, hold: 3s', 'weight: 20%, hold: 10m').replace(
  'weight: 50%, hold: 2s',
  'weight: 50%, hold: 10m',
);

describe('what a person does', () => {
  let davy: Running;
  let load: Load;

  beforeAll(async () => {
    const port = await testPort();
    davy = await up(specOf({ shop: { port, versions: { v2: {} } } }, PATIENT_POLICY));
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 300 }));
  });
  afterAll(async () => {
    await load?.stop().catch(() => {});
    await davy?.end();
  });
  const weightIs = (weightBp: number) => (fleet: FleetDoc) => fleet.services[0]?.effectiveWeightBp === weightBp;

  it('releases, pauses, resumes and promotes; the finished release can be taken back', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'new checkout');
    await davy.until('20 % in force', weightIs(2000), 15_000);
    const paused = await davy.davy('pause', 'shop-1', '--reason', 'lunch', '-o', 'json');
    expect((JSON.parse(paused.stdout) as { release: ReleaseDoc }).release.paused).toMatchObject({ reason: 'lunch' });
    expect((await davy.davy('explain', 'shop-1')).stdout).toContain('is paused by');
    expect((await davy.davy('resume', 'shop-1', '--reason', 'back')).code).toBe(0);
    expect((await davy.davy('resume', 'shop-1', '--reason', 'back')).stderr).toContain('release/not-paused');
    // In the last step stable has few requests, so the new version is held to what was seen of it before as well.
    await davy.until('stable is known', (fleet) => (fleet.releases[0]?.counts[0]?.stableRequests ?? 0) > 1200, 15_000);
    expect((await davy.davy('promote', 'shop-1', '--reason', 'trust me')).stdout).toContain('50%');
    await davy.until('50 % in force', weightIs(5000), 10_000);
    await davy.davy('promote', 'shop-1', '--full', '--reason', 'trust me more');
    await davy.until('completed', (fleet) => fleet.releases[0]?.phase === 'completed', 30_000);
    const back = await davy.davy('rollback', 'shop-1', '--reason', 'partners complain');
    expect(back.code, back.stderr).toBe(0);
    const fleet = await davy.until('v1 again', (now) => now.services[0]?.stable === 'v1', 10_000);
    expect(fleet.releases[0]).toMatchObject({ phase: 'rolled-back', rollbackCause: 'operator' });
  });

  it('prints a stable document for scripts, and a table for people', async () => {
    const json = JSON.parse((await davy.davy('status', '-o', 'json')).stdout) as FleetDoc;
    expect(json.schemaVersion).toBe(1);
    const { stdout } = await davy.davy('status');
    expect(stdout).toContain('shop-1');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: no colour may reach a pipe
    expect(stdout).not.toMatch(/\u001b\[/);
  });

  it('serves every request until it is told to stop, and ends with 0 on SIGTERM', async () => {
    const { counts } = await load.stop();
    expect(counts.requests).toBeGreaterThan(1000);
    expect(counts.errors).toEqual({});
    davy.process.kill('SIGTERM');
    const [code] = (await once(davy.process, 'exit')) as [number];
    expect(code).toBe(0);
  });
});

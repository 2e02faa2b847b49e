import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPorts } from '../../src/lib/test-port.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import type { FleetDoc, ReleaseDoc } from '../../src/server/schemas.ts';
import { QUICK_POLICY, type Running, specOf, up } from './harness.ts';
import { expectReplaysToMatch } from './replays.ts';

/** Five services are released at the same time; each canary behaves in another way. */
describe('what the judge does to real traffic', () => {
  let davy: Running;
  let load: Load;
  const cases = {
    good: {},
    faulty: { FAULT_RATE: 0.05 },
    slow: { LATENCY_MS: 400 },
    intermittent: { FAULT_RATE: 0.001 },
    idle: {},
  };

  beforeAll(async () => {
    const ports = await testPorts(5);
    const services = Object.fromEntries(
      Object.entries(cases).map(([name, env], index) => [name, { port: ports[index] ?? 0, versions: { v2: env } }]),
    );
    davy = await up(specOf(services, QUICK_POLICY));
    const { targets } = steadyPlan({ url: 'http://127.0.0.1:1/', ratePerSecond: 1 });
    const busy = Object.entries(services).filter(([name]) => name !== 'idle');
    load = startLoad({
      ...steadyPlan({ url: 'http://127.0.0.1:1/', ratePerSecond: 320 }),
      targets: busy.map(([name, { port }]) => ({ ...targets[0]!, name, url: `http://127.0.0.1:${port}/` })),
    });
    for (const name of Object.keys(cases)) {
      const { code, stderr } = await davy.davy('release', name, 'v2', '--reason', `try ${name}`);
      expect(code, stderr).toBe(0);
    }
  });
  afterAll(async () => {
    await load?.stop().catch(() => {});
    await davy?.end();
  });

  const ended = (name: string): Promise<FleetDoc> =>
    davy.until(`${name}-1 ends`, (fleet) => releaseIn(fleet, `${name}-1`)?.endedAtMs != null, 45_000);

  it('completes a good release, step by step', async () => {
    const release = releaseIn(await ended('good'), 'good-1');
    expect(release).toMatchObject({ phase: 'completed', verdict: 'PASS' });
    expect(release?.counts.map((step) => step.weightBp)).toEqual([2000, 5000, 9800]);
    const explained = await davy.davy('explain', 'good-1');
    expect(explained.stdout).toContain('good v2 is the stable version');
  });

  it('rolls back a canary that fails 5 % of its requests, and measures that nothing reaches it', async () => {
    await ended('faulty');
    const confirmed = (fleet: FleetDoc): boolean => releaseIn(fleet, 'faulty-1')?.zeroConfirmed === true;
    const release = releaseIn(await davy.until('traffic 0 is confirmed', confirmed, 10_000), 'faulty-1');
    expect(release?.phase).toBe('rolled-back');
    expect(['instant', 'statistical', 'sustained']).toContain(release?.rollbackCause);
    expect(release?.secondsToZero).toBeGreaterThan(0);
    expect(release?.failedRequests).toBeGreaterThan(0);
  });

  it('rolls back a canary that is only slow', async () => {
    expect(releaseIn(await ended('slow'), 'slow-1')).toMatchObject({ phase: 'rolled-back', failedRequests: 0 });
  });

  it('does not mind an intermittent 0.1 %', async () => {
    expect(releaseIn(await ended('intermittent'), 'intermittent-1')?.phase).toBe('completed');
  });

  it('never promotes without traffic: the verdict stays inconclusive', async () => {
    const isHeld = (fleet: FleetDoc): boolean => releaseIn(fleet, 'idle-1')?.held?.verdict === 'inconclusive';
    const release = releaseIn(await davy.until('idle is held', isHeld, 30_000), 'idle-1');
    expect(release).toMatchObject({ phase: 'progressing', step: 0, verdict: 'INCONCLUSIVE' });
  });

  it('recorded looks from which the judge reaches every verdict again, with the same evidence', async () => {
    expect(await expectReplaysToMatch(davy)).toBeGreaterThanOrEqual(8);
  });

  it('kept a ledger that verifies', async () => {
    const { code, stdout } = await davy.davy('evidence', 'verify', '--data', davy.dataDir);
    expect(code, stdout).toBe(0);
  });
});

function releaseIn(fleet: FleetDoc, id: string): ReleaseDoc | undefined {
  return fleet.releases.find((release) => release.id === id);
}

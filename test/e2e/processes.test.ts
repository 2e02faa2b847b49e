import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { steadyClients } from '../../src/gateway/testing/steady-clients.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import type { FleetDoc, ReleaseDoc } from '../../src/server/schemas.ts';
import { QUICK_POLICY, type Running, readPid, specOf, up } from './harness.ts';
import { expectReplaysToMatch } from './replays.ts';

const LOAD_PER_SECOND = 200;
/** Long enough that every process can be killed while the release is in flight. */
const SLOW_POLICY = QUICK_POLICY.replaceAll('hold: 3s', 'hold: 8s');

describe('processes die, releases go on', () => {
  let davy: Running;
  let load: Load;
  let port: number;

  beforeEach(async () => {
    port = await testPort();
    davy = await up(specOf({ shop: { port, versions: { v2: {}, v3: { FAULT_RATE: 0.3 } } } }, SLOW_POLICY));
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: LOAD_PER_SECOND }));
  });
  afterEach(async () => {
    await load.stop().catch(() => {});
    // Whatever was killed, what was recorded gives the recorded decisions.
    await expectReplaysToMatch(davy);
    await davy.end();
  });

  const inFlight = (fleet: FleetDoc): boolean =>
    shop1(fleet)?.phase === 'progressing' && (shop1(fleet)?.heldMs ?? 0) > 1000;
  const completed = (fleet: FleetDoc): boolean => shop1(fleet)?.phase === 'completed';

  it('kill -9 of the controller: the supervisor brings it back, the weight stays, no hold is shortened', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    const before = shop1(await davy.until('in flight', inFlight, 15_000));
    const controller = endpointPid(davy);
    process.kill(controller, 'SIGKILL');
    const back = await davy.until('another controller answers', () => endpointPid(davy) !== controller, 15_000);
    expect(shop1(back)).toMatchObject({ id: 'shop-1', weightBp: before?.weightBp });
    const end = shop1(await davy.until('completed', completed, 40_000));
    expect(end?.phase).toBe('completed');
    expect(decisions(davy).filter((type) => type === 'release.step.decided')).toHaveLength(3);
  });

  it('kill -9 of davy up: everything is adopted by the next one', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    await davy.until('in flight', inFlight, 15_000);
    const gateway = readPid(davy.dataDir, 'gateway-process.json');
    davy.process.kill('SIGKILL');
    await once(davy.process, 'exit');
    const next = await eventually(() => davy.again());
    expect(readPid(davy.dataDir, 'gateway-process.json')).toBe(gateway);
    await next.until('completed', completed, 40_000);
    const result = await load.stop();
    expect(result.counts.errors).toEqual({});
    next.process.kill('SIGTERM');
    await once(next.process, 'exit');
  });

  it('F05: the controller hands over under load: no request fails, the weight stays, within 10 s', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    const before = shop1(await davy.until('in flight', inFlight, 15_000));
    const gateway = readPid(davy.dataDir, 'gateway-process.json');
    const startMs = systemClock.monoMs();
    // Without its supervisor the controller lets go of everything in good order, and the next one adopts it.
    davy.process.kill('SIGKILL');
    await once(davy.process, 'exit');
    const next = await eventually(() => davy.again());
    const after = await next.until('the next one decides', (fleet) => shop1(fleet) !== undefined, 10_000);
    expect(systemClock.monoMs() - startMs).toBeLessThan(10_000);
    expect(shop1(after)).toMatchObject({ step: before?.step, weightBp: before?.weightBp });
    expect(after.services[0]?.effectiveWeightBp).toBe(before?.weightBp);
    expect(readPid(davy.dataDir, 'gateway-process.json')).toBe(gateway);
    const { counts } = await load.stop();
    expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
    expect(counts.requests).toBeGreaterThan(LOAD_PER_SECOND);
    next.process.kill('SIGTERM');
    await once(next.process, 'exit');
  });

  it('F05: the gateway is put in place anew under load, twice: no request fails, the weight and the evidence stay', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    const before = await davy.until('in flight', inFlight, 15_000);
    const pids = [readPid(davy.dataDir, 'gateway-process.json')];
    for (let i = 0; i < 2; i++) {
      const restarted = await davy.davy('gateway', 'restart', '--reason', 'new certificates', '-o', 'json');
      expect(restarted).toMatchObject({ code: 0 });
      pids.push(readPid(davy.dataDir, 'gateway-process.json'));
      expect(JSON.parse(restarted.stdout)).toMatchObject({ pid: pids.at(-1) });
    }
    expect(new Set(pids).size).toBe(3);
    const after = await davy.fleet();
    if (shop1(after)?.step === shop1(before)?.step)
      expect(after.services[0]?.effectiveWeightBp).toBe(shop1(before)?.weightBp);
    await davy.until('completed', completed, 40_000);
    const { counts } = await load.stop();
    expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
    expect(counts.requests).toBeGreaterThan(LOAD_PER_SECOND);
    const types = decisions(davy);
    expect(types.filter((type) => type.startsWith('gateway.restart.'))).toEqual([
      ...['gateway.restart.requested', 'gateway.restart.completed'],
      ...['gateway.restart.requested', 'gateway.restart.completed'],
    ]);
    // Nothing had to be put right, and no look was missed since the counts had begun at 0 again.
    expect(types).not.toContain('traffic.drift.detected');
    expect(JSON.stringify(lines(davy))).not.toContain('counts from 0 again');
    // What was counted in all is what was asked: none is lost, none is there twice.
    expect(await gatewayCount(davy)).toBe(counts.requests);
  });

  it('SIGTERM of davy up under load: every request on an open connection is answered, the gateway before its instances', async () => {
    await load.stop();
    const clients = await steadyClients(port, { width: 20, everyMs: 1000 / LOAD_PER_SECOND, reconnect: false });
    while (clients.sent() < LOAD_PER_SECOND) await setImmediate();
    davy.process.kill('SIGTERM');
    await once(davy.process, 'exit');
    const result = await clients.stop();
    expect(result).toMatchObject({ failed: [], ok: result.sent });
    expect(result.sent).toBeGreaterThan(LOAD_PER_SECOND);
  });

  it('kill -9 of the gateway: it comes back with the last durable weights', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    await davy.until('in flight', inFlight, 15_000);
    const gateway = readPid(davy.dataDir, 'gateway-process.json');
    process.kill(gateway, 'SIGKILL');
    const isBack = (fleet: FleetDoc): boolean =>
      readPid(davy.dataDir, 'gateway-process.json') !== gateway && fleet.services[0]?.effectiveWeightBp === 2000;
    await davy.until('the gateway is back at 20 %', isBack, 15_000);
    await davy.until('completed', completed, 40_000);
  });

  it('kill -9 of an instance: it is started again and the release completes', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    const fleet = await davy.until('in flight', inFlight, 15_000);
    const instance = fleet.services[0]?.instances.find((one) => one.id === 'shop/v1/1');
    process.kill(instance?.pid ?? 0, 'SIGKILL');
    const isBack = (now: FleetDoc): boolean => {
      const found = now.services[0]?.instances.find((one) => one.id === 'shop/v1/1');
      return found?.phase === 'ready' && found.pid !== instance?.pid;
    };
    await davy.until('the instance is back', isBack, 15_000);
    await davy.until('completed', completed, 40_000);
  });

  it('metrics lost for 5 s: the release holds, then goes on', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    await davy.until('in flight', inFlight, 15_000);
    const gateway = readPid(davy.dataDir, 'gateway-process.json');
    process.kill(gateway, 'SIGSTOP');
    try {
      await davy.until('held', (fleet) => shop1(fleet)?.held?.verdict === 'hold', 5000);
    } finally {
      process.kill(gateway, 'SIGCONT');
    }
    await davy.until('completed', completed, 60_000);
    expect(decisions(davy)).toContain('release.hold.cleared');
  });

  it('metrics silenced for 10 s while every request is answered: the release holds, then goes on', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    const before = shop1(await davy.until('in flight', inFlight, 15_000));
    const silence = (forMs: number): Promise<Response> => post(davy, '/api/v1/metrics/silence', { forMs, reason: 'x' });
    expect((await silence(60_000)).status).toBe(400);
    const { untilMs } = (await (await silence(10_000)).json()) as { untilMs: number };
    expect((await silence(10_000)).status).toBe(409);
    await davy.until('held', (fleet) => shop1(fleet)?.held?.verdict === 'hold', 5_000);
    // The hold of the step is 8 s: without the silence it would be over by now.
    const late = await davy.until('nearly over', (fleet) => fleet.nowMs > untilMs - 1_000, 15_000);
    if (late.nowMs < untilMs) expect(shop1(late)).toMatchObject({ step: before?.step, weightBp: before?.weightBp });
    await davy.until('completed', completed, 60_000);
    expect((await load.stop()).counts.errors).toEqual({});
    const types = decisions(davy);
    const between = types.slice(types.indexOf('metrics.silence.begun'), types.indexOf('metrics.silence.ended'));
    expect(between).toContain('release.held');
    expect(between).not.toContain('release.step.decided');
  });

  it('a new version during a release starts again at 0 with fresh evidence', async () => {
    await davy.davy('release', 'shop', 'v2', '--reason', 'x');
    await davy.until('in flight', inFlight, 15_000);
    await davy.davy('release', 'shop', 'v3', '--reason', 'newer');
    const fleet = await davy.until('the newer one ends', (now) => byId(now, 'shop-2')?.zeroConfirmed === true, 40_000);
    expect(byId(fleet, 'shop-1')).toMatchObject({ phase: 'cancelled', weightBp: 0 });
    expect(byId(fleet, 'shop-2')).toMatchObject({ phase: 'rolled-back', version: 'v3' });
    expect(byId(fleet, 'shop-2')?.counts[0]?.weightBp).toBe(2000);
    expect(fleet.services[0]?.stable).toBe('v1');
  });
});

function shop1(fleet: FleetDoc): ReleaseDoc | undefined {
  return byId(fleet, 'shop-1');
}

function byId(fleet: FleetDoc, id: string): ReleaseDoc | undefined {
  return fleet.releases.find((release) => release.id === id);
}

function post(davy: Running, path: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' };
  return davy.api(path, { method: 'POST', headers, body: JSON.stringify(body) });
}

/** Requests that the gateway has counted in all. */
async function gatewayCount(davy: Running): Promise<number> {
  const answer = await davy.api('/metrics');
  const lines = (await answer.text()).split('\n').filter((line) => line.startsWith('istio_requests_total{'));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

/** The controller's pid, as its writer id in the newest record says. */
function endpointPid(davy: Running): number {
  const last = lines(davy).at(-1) as { w: string } | undefined;
  return Number(last?.w.replace('ctl-', ''));
}

function decisions(davy: Running): string[] {
  return lines(davy).map((line) => (line as { type: string }).type);
}

function lines(davy: Running): unknown[] {
  const text = readFileSync(join(davy.dataDir, 'ledger/log/0000000000000000.jsonl'), 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
}

/** The killed supervisor's controller lets go a moment later; until then the ledger is locked. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries >= 20) throw error;
    }
  }
}

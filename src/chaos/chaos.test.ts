import { expect, test } from 'vitest';
import { seededRandom } from '../lib/seeded-random.ts';
import type { ExperimentSpec, FaultSpec } from '../spec/chaos-model.ts';
import { type ChaosWorld, createChaosWorld, experiment } from './chaos.fixture.ts';
import { silences } from './decide.ts';
import type { ChaosRun } from './state.ts';

const operator = { kind: 'person' as const, id: 'ada' };

async function runToEnd(world: ChaosWorld, change: Partial<ExperimentSpec> = {}): Promise<ChaosRun> {
  const run = await world.settle(world.chaos.run({ ...experiment, ...change }, { reason: 'test', seed: 7 }, operator));
  return world.settle(world.chaos.finished(run.id));
}

/** What is still wrong with the world, whatever the ledger says. */
async function residue(world: ChaosWorld): Promise<string[]> {
  const faults = (await world.faultPlane.reports())
    .filter((report) => report.expiresInMs > 0)
    .map((report) => report.id);
  return [...faults, ...world.paused];
}

test('a delay within the limits passes, measured where it acts, with a control slice', async () => {
  const world = await createChaosWorld();
  const run = await runToEnd(world);
  expect(run.conclusion).toMatchObject({
    verdict: 'PASS',
    injection: { meanAddedMs: 100 },
    detectedAfterMs: expect.any(Number),
  });
  expect(run.plan.targets).toHaveLength(1);
  expect(run.plan.untouched).toHaveLength(2);
  expect(await world.types()).toEqual(['planned', 'armed', 'injected', 'reverting', 'reverted', 'concluded']);
  expect(await residue(world)).toEqual([]);
});

test('the same seed hits the same instance', async () => {
  const targets = [];
  for (let i = 0; i < 2; i++) targets.push((await runToEnd(await createChaosWorld())).plan.targets);
  expect(targets[0]).toEqual(targets[1]);
});

test('a hypothesis that breaks is FAIL, and names what broke', async () => {
  const run = await runToEnd(await createChaosWorld(), { fault: { kind: 'delay', delayMs: 600 } });
  expect(run.conclusion).toMatchObject({ verdict: 'FAIL', reasons: [expect.stringContaining('b p95')] });
});

test('a delay that is not the requested one is INVALID, never PASS', async () => {
  const world = await createChaosWorld();
  world.addMs = (delayMs) => delayMs * 1.3;
  expect((await runToEnd(world)).conclusion).toMatchObject({
    verdict: 'INVALID',
    reasons: ['the measured delay is 130.0 ms, not 100 ms ± 20 %'],
  });
});

test('when the untouched slice breaks as well, the fault is not blamed', async () => {
  const world = await createChaosWorld();
  const started = await world.settle(world.chaos.run(experiment, { reason: 'test' }, operator));
  await world.clock.advance(4_000);
  world.brokenShare = 0.2;
  await world.clock.advance(10_000);
  world.brokenShare = 0;
  const run = await world.settle(world.chaos.finished(started.id));
  expect(run.conclusion!.verdict).toBe('INCONCLUSIVE');
  expect(run.conclusion!.reasons[0]).toContain('something else happened');
});

test('X03: a steady state that does not hold, or cannot be told, injects nothing', async () => {
  for (const spoil of [
    (world: ChaosWorld) => (world.brokenShare = 0.5),
    (world: ChaosWorld) => (world.metricsGone = true),
  ]) {
    const world = await createChaosWorld();
    spoil(world);
    const run = await runToEnd(world);
    expect(run).toMatchObject({ phase: 'not-injected', conclusion: { verdict: 'INCONCLUSIVE' } });
    expect(await world.types()).toEqual(['planned', 'concluded']);
    expect(await world.faultPlane.reports()).toEqual([]);
  }
});

test('X03: counters that vanish in the middle of a fault end it, and prove nothing', async () => {
  const world = await createChaosWorld();
  const started = await world.settle(world.chaos.run(experiment, { reason: 'test' }, operator));
  await world.clock.advance(4_000);
  world.metricsGone = true;
  await world.clock.advance(6_000);
  expect(await residue(world)).toEqual([]);
  world.metricsGone = false;
  const run = await world.settle(world.chaos.finished(started.id));
  expect(run.revertReason).toBe('no-data');
  expect(run.conclusion!.verdict).toBe('INCONCLUSIVE');
});

test('a gap in the counters is covered by the next reading', async () => {
  const world = await createChaosWorld();
  const started = await world.settle(world.chaos.run(experiment, { reason: 'test' }, operator));
  await world.clock.advance(4_000);
  world.metricsGone = true;
  world.brokenShare = 0.2;
  await world.clock.advance(3_000);
  world.metricsGone = false;
  world.brokenShare = 0;
  const run = await world.settle(world.chaos.finished(started.id));
  expect(run.revertReason).toBe('time');
  expect(run.conclusion!.during.some((check) => check.holds === false)).toBe(true);
});

test('counters that vanish shortly before the end leave the run INCONCLUSIVE', async () => {
  const world = await createChaosWorld();
  const started = await world.settle(world.chaos.run(experiment, { reason: 'test' }, operator));
  await world.clock.advance(12_000);
  world.metricsGone = true;
  await world.clock.advance(3_000);
  world.metricsGone = false;
  const run = await world.settle(world.chaos.finished(started.id));
  expect(run.revertReason).toBe('time');
  expect(run.conclusion).toMatchObject({
    verdict: 'INCONCLUSIVE',
    reasons: [expect.stringContaining('nothing was measured')],
  });
});

test('a killed instance is timed: detected, replaced, ready, steady', async () => {
  const run = await runToEnd(await createChaosWorld(), {
    fault: { kind: 'kill' },
    detectWithinMs: 1_000,
    recoverWithinMs: 5_000,
  });
  expect(run.conclusion!.verdict).toBe('PASS');
  const [recovery] = run.conclusion!.recovery;
  const { killedAtMs, detectedAtMs, replacedAtMs, readyAtMs } = recovery!;
  expect(killedAtMs).toBeLessThanOrEqual(detectedAtMs!);
  expect(replacedAtMs! - detectedAtMs!).toBe(200);
  expect(readyAtMs! - replacedAtMs!).toBe(100);
  expect(run.conclusion!.steadyAfterMs).not.toBeNull();
});

test('a paused instance drops out and comes back when the fault ends', async () => {
  const world = await createChaosWorld();
  const run = await runToEnd(world, { fault: { kind: 'pause' } });
  expect(run.conclusion!.verdict).toBe('PASS');
  expect(run.conclusion!.recovery[0]!.readyAtMs! - run.injectedAtMs!).toBeGreaterThanOrEqual(12_000);
  expect(await residue(world)).toEqual([]);
});

test('the stop condition ends the fault early', async () => {
  const world = await createChaosWorld();
  const run = await runToEnd(world, { fault: { kind: 'abort', status: 500 }, stopErrorShare: 0.2 });
  expect(run.revertReason).toBe('stop-condition');
  expect(run.revertedAtMs! - run.injectedAtMs!).toBeLessThan(3_000);
  expect(run.conclusion!.verdict).toBe('FAIL');
});

test.each<[string, Partial<ExperimentSpec>, string]>([
  [
    'X04: too many instances',
    { fault: { kind: 'kill' }, scope: { ...experiment.scope, instances: 2 } },
    'chaos/blast-radius',
  ],
  ['too many requests', { scope: { ...experiment.scope, instances: null } }, 'chaos/blast-radius'],
  ['more instances than there are', { scope: { ...experiment.scope, instances: 4 } }, 'chaos/no-target'],
  ['a zone where nothing runs', { scope: { ...experiment.scope, zone: 'z9' } }, 'chaos/no-target'],
])('refused: %s', async (_, change, code) => {
  const world = await createChaosWorld();
  const problem = world.chaos.check({ ...experiment, ...change }).problem;
  expect(problem).toMatchObject({ code });
  await expect(runToEnd(world, change)).rejects.toMatchObject({ code });
  expect(await world.types()).toEqual([]);
});

test('X04: the last ready instance is never taken', async () => {
  const world = await createChaosWorld({ limits: { instancesShare: 1, requestsShare: 1, minHealthy: 1 } });
  for (const id of ['b/v1/1', 'b/v1/2']) world.workloads.breakHealth(id, 'GET / answered 503');
  await expect(runToEnd(world, { fault: { kind: 'kill' } })).rejects.toMatchObject({ code: 'chaos/blast-radius' });
});

test('C06: a second run on the same service, and a run beside a release, are refused with the reason', async () => {
  const world = await createChaosWorld();
  await world.settle(world.chaos.run(experiment, { reason: 'first' }, operator));
  await expect(world.settle(world.chaos.run('slow-b', { reason: 'second' }, operator))).rejects.toMatchObject({
    code: 'chaos/run-in-progress',
  });
  await world.clock.advance(3_000);
  expect(world.chaos.releaseBlocked('b')).toContain('chaos-1');
  expect(world.chaos.releaseBlocked('a')).toBeNull();
  await world.settle(world.chaos.finished('chaos-1'));
  world.releases = ['b-1'];
  await expect(world.settle(world.chaos.run('slow-b', { reason: 'third' }, operator))).rejects.toMatchObject({
    code: 'chaos/release-in-progress',
  });
  const allowed = await runToEnd(world, { duringRelease: true });
  expect(allowed.conclusion!.verdict).toBe('PASS');
});

test('two commands in the same moment: one runs', async () => {
  const world = await createChaosWorld();
  const both = [1, 2].map(() => world.chaos.run(experiment, { reason: 'race' }, operator));
  const outcomes = await world.settle(Promise.allSettled(both));
  expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
});

test('an unknown experiment is refused with the nearest name', () => {
  return expect(
    createChaosWorld().then((world) => world.chaos.run('slow-c', { reason: '' }, operator)),
  ).rejects.toThrow('slow-b');
});

test('X05: one stop reverts three runs within 5 s', async () => {
  const services = ['a', 'b', 'c'];
  const world = await createChaosWorld({}, 1, services);
  for (const service of services) {
    const fault: FaultSpec = service === 'c' ? { kind: 'pause' } : experiment.fault;
    const scope = { ...experiment.scope, service };
    const named = { ...experiment, name: `slow-${service}`, fault, scope };
    await world.settle(world.chaos.run(named, { reason: 'test' }, operator));
  }
  await world.clock.advance(4_000);
  const ids = ['chaos-1', 'chaos-2', 'chaos-3'];
  expect(await residue(world)).toEqual(['chaos-1', 'chaos-2', expect.stringContaining('c/v1/')]);
  const silent = () => silences(world.chaos.state(), world.clock.nowMs()).map((one) => one.service);
  expect(silent()).toEqual(services);
  const startMs = world.clock.monoMs();
  expect(await world.settle(world.chaos.stopRuns('all', 'enough', operator))).toEqual(ids);
  expect(world.clock.monoMs() - startMs).toBeLessThanOrEqual(5_000);
  expect(await residue(world)).toEqual([]);
  expect(silent()).toEqual([]);
  for (const id of ids) {
    const run = world.chaos.state().runs[id];
    expect(run).toMatchObject({ revertReason: 'stopped', conclusion: { verdict: 'INCONCLUSIVE' } });
  }
});

test('X06: neither the other instances nor the neighbours change by 5 %', async () => {
  const world = await createChaosWorld({}, 1, ['a', 'b']);
  // The same claim about a neighbour and about the service itself, whose other instances are the control slice.
  const probes = ['a', 'b'].map((service) => ({
    ...experiment.probes[0]!,
    kind: 'gateway' as const,
    name: service,
    service,
  }));
  const tight = probes.map((probe) => ({
    ...probe,
    errorShare: 0.02,
    latency: [{ quantile: 0.95, underMs: probe.service === 'a' ? 10 : 500 }],
    minRequests: 20,
  }));
  const run = await runToEnd(world, { probes: tight });
  expect(run.conclusion!.verdict).toBe('PASS');
  expect(Math.abs(run.conclusion!.control!.changeShare!)).toBeLessThan(0.05);
  expect(run.conclusion!.control!.errorsDuring.bad).toBe(0);
  // Only the target was hit, and as often as its share of the requests says.
  const [report] = await world.faultPlane.reports();
  expect(report!.matched).toBe(report!.injected);
  expect(run.plan.targets).toHaveLength(1);
  expect(run.plan.targets[0]).toMatch(/^b\//);
});

test('a data plane that cannot be reached makes the run DIRTY, which blocks chaos and promotions until a person clears it', async () => {
  const world = await createChaosWorld();
  await world.settle(world.chaos.run(experiment, { reason: 'test' }, operator));
  await world.clock.advance(4_000);
  world.faultPlane.unreachable = true;
  const run = await world.settle(world.chaos.finished('chaos-1'));
  expect(run).toMatchObject({ phase: 'dirty', conclusion: { verdict: 'ERROR' } });
  expect(world.chaos.raiseBlocked()).toContain('chaos-1 is DIRTY');
  expect(world.chaos.releaseBlocked('a')).toContain('DIRTY');
  world.faultPlane.unreachable = false;
  await expect(world.settle(world.chaos.run(experiment, { reason: '' }, operator))).rejects.toMatchObject({
    code: 'chaos/dirty',
  });
  await world.settle(world.chaos.clear('chaos-1', 'looked at it', operator));
  expect(world.chaos.raiseBlocked()).toBeNull();
  await expect(world.settle(world.chaos.clear('chaos-1', 'again', operator))).rejects.toMatchObject({
    code: 'chaos/not-dirty',
  });
  expect((await runToEnd(world)).conclusion!.verdict).toBe('PASS');
});

test.each<[string, FaultSpec]>([
  ['late', { kind: 'delay', delayMs: 100 }],
  ['paused', { kind: 'pause' }],
])('X02: an instance that restarts while it is %s leaves nothing behind', async (_, fault) => {
  const world = await createChaosWorld();
  const options = { reason: 'test', seed: 7 };
  const started = await world.settle(world.chaos.run({ ...experiment, fault }, options, operator));
  await world.clock.advance(4_000);
  const target = started.plan.targets[0]!;
  world.workloads.crash(target, 'was killed by SIGKILL');
  const run = await world.settle(world.chaos.finished(started.id));
  // The rule names the instance, so its new process is late as well until the end; the record says which one it was.
  expect(run).toMatchObject({ phase: 'reverted', plan: { targets: [target] } });
  expect(await residue(world)).toEqual([]);
  await world.clock.advance(5_000);
  const found = world.workloads.list().find((one) => one.id === target)!;
  expect(found.phase).toBe('ready');
  expect(world.faultPlane.request({ service: 'b', version: 'v1', instance: target, zone: null })).toBeNull();
});

test('C07: a schedule runs at its slots, once after a long absence, and never twice at once', async () => {
  const every = { kind: 'every' as const, everyMs: 4 * 3_600_000 };
  const world = await createChaosWorld({ experiments: { 'slow-b': { ...experiment, schedule: every } } });
  await world.clock.advance(2_000);
  const runs = () => Object.keys(world.chaos.state().runs).length;
  world.clock.stepWall(4 * 3_600_000);
  await world.settle(world.clock.advance(30_000));
  expect(runs()).toBe(1);
  expect(world.chaos.state().runs['chaos-1']).toMatchObject({ by: 'chaos', conclusion: { verdict: 'PASS' } });
  // 13 hours away: three slots passed, one run catches up, two are recorded as missed.
  world.kill();
  world.clock.stepWall(13 * 3_600_000);
  await world.restart();
  await world.clock.advance(30_000);
  expect(runs()).toBe(2);
  expect(world.chaos.state().slots['slow-b']).toMatchObject({ missed: 2, outcome: { kind: 'ran', run: 'chaos-2' } });
  // A run that is still going when its next slot comes.
  world.clock.stepWall(4 * 3_600_000);
  await world.clock.advance(5_000);
  world.clock.stepWall(4 * 3_600_000);
  await world.clock.advance(30_000);
  expect(runs()).toBe(3);
  expect(world.chaos.state().slots['slow-b']).toMatchObject({ outcome: { kind: 'refused' } });
});

test('a freeze window refuses, by command and by schedule', async () => {
  const fromMs = Date.UTC(2025, 11, 31);
  const world = await createChaosWorld({ freeze: [{ fromMs, toMs: fromMs + 7 * 86_400_000, why: 'new year' }] });
  await expect(runToEnd(world)).rejects.toThrow('new year');
});

/** `CHAOS_SEEDS=2000` searches longer. */
const seeds = Number(process.env.CHAOS_SEEDS ?? 50);

test('X01: fifty seeded runs with the engine killed at a random moment leave nothing behind', async () => {
  const faults: FaultSpec[] = [
    { kind: 'delay', delayMs: 100 },
    { kind: 'abort', status: 503 },
    { kind: 'blackhole' },
    { kind: 'pause' },
    { kind: 'kill' },
  ];
  let residueCount = 0;
  let killedInForce = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const world = await createChaosWorld({}, seed);
    const random = seededRandom(seed);
    const fault = faults[seed % faults.length]!;
    void world.chaos
      .run({ ...experiment, fault, durationMs: 8_000 }, { reason: 'kill', seed }, operator)
      .catch(() => {});
    await world.clock.advance(50 + random() * 16_000);
    const inForce = (await residue(world)).length > 0;
    if (inForce) killedInForce++;
    world.kill();
    const restarts = random() < 0.5;
    if (restarts) await world.restart();
    // Lease (10 s for traffic, the fault's own time for a pause) + 5 s.
    await world.clock.advance(restarts ? 5_000 : 15_000);
    residueCount += (await residue(world)).length;
    if (!restarts) await world.restart();
    await world.clock.advance(20_000);
    const runs = Object.values(world.chaos.state().runs);
    expect(runs.every((run) => run.conclusion !== null)).toBe(true);
    expect(runs.every((run) => ['reverted', 'not-injected'].includes(run.phase))).toBe(true);
    expect(world.workloads.list().map((one) => one.phase)).toEqual(['ready', 'ready', 'ready']);
  }
  expect(residueCount).toBe(0);
  expect(killedInForce).toBeGreaterThan(10);
});

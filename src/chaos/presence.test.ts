import { expect, test } from 'vitest';
import type { ExperimentSpec } from '../spec/chaos-model.ts';
import type { FaultReport } from '../traffic/faults.ts';
import { type ChaosWorld, createChaosWorld, experiment } from './chaos.fixture.ts';
import { addReport } from './presence.ts';
import { type ChaosRun, emptyChaos, evolve } from './state.ts';

const operator = { kind: 'person' as const, id: 'ada' };

/** Starts a run and lets its fault be in force for some 2 s. */
async function inForce(world: ChaosWorld, change: Partial<ExperimentSpec> = {}): Promise<ChaosRun> {
  const started = await world.settle(
    world.chaos.run({ ...experiment, ...change }, { reason: 'test', seed: 7 }, operator),
  );
  await world.clock.advance(4_000);
  return started;
}

const finish = (world: ChaosWorld, run: ChaosRun): Promise<ChaosRun> => world.settle(world.chaos.finished(run.id));

const traffic: [string, Partial<ExperimentSpec>][] = [
  ['delay', { fault: { kind: 'delay', delayMs: 100 } }],
  ['abort', { fault: { kind: 'abort', status: 503 } }],
  ['bandwidth', { fault: { kind: 'bandwidth', bytesPerSecond: 1_000 } }],
  ['blackhole', { fault: { kind: 'blackhole' } }],
  ['zone', { fault: { kind: 'delay', delayMs: 100 }, scope: { ...experiment.scope, zone: 'a' } }],
];

test.each(traffic)('%s: a fault that is cleared from outside every 50 ms proves nothing', async (_, change) => {
  const world = await createChaosWorld({}, 1, ['b'], 'a');
  const started = await inForce(world, change);
  for (let i = 0; i < 200; i++) {
    await world.faultPlane.clear('all');
    await world.clock.advance(50);
  }
  const run = await finish(world, started);
  expect(run.conclusion).toMatchObject({
    verdict: 'INVALID',
    reasons: [expect.stringMatching(/^the fault was in force for \d.* of 12s: /)],
  });
  // What somebody ended is not put in force again.
  expect(run.conclusion!.presence!.presentMs).toBeLessThan(3_000);
});

test('a fault that stays until its end says for how long, and how many requests it met', async () => {
  const world = await createChaosWorld();
  const { conclusion } = await finish(world, await inForce(world));
  expect(conclusion).toMatchObject({
    verdict: 'PASS',
    presence: { plannedMs: 12_000, presentMs: 12_000, lost: null, processes: [] },
  });
  const { inScope } = conclusion!.presence!;
  expect(inScope).toBeGreaterThan(1_000);
  expect(conclusion!.injection!.injected).toBeGreaterThanOrEqual(inScope!);
});

test.each(traffic)(
  '%s: a fault that is cleared once ends the run; the heartbeat does not put it in force again',
  async (_, change) => {
    const world = await createChaosWorld({}, 1, ['b'], 'a');
    const started = await inForce(world, change);
    await world.faultPlane.clear('all');
    await world.clock.advance(3_000);
    expect((await world.faultPlane.reports()).map(({ expiresInMs, begun }) => ({ expiresInMs, begun }))).toEqual([
      { expiresInMs: 0, begun: 1 },
    ]);
    const run = await finish(world, started);
    expect(run).toMatchObject({ revertReason: 'lost', conclusion: { verdict: 'INVALID' } });
  },
);

test('a fault that somebody ended and put in force again is INVALID, however short the gap', async () => {
  const world = await createChaosWorld();
  const started = await inForce(world);
  const rule = {
    id: started.id,
    action: { kind: 'delay' as const, delayMs: 100 },
    scope: { ...experiment.scope, instances: started.plan.targets },
    ttlMs: 10_000,
  };
  await world.faultPlane.clear('all');
  await world.faultPlane.inject([rule]);
  const { conclusion } = await finish(world, started);
  expect(conclusion).toMatchObject({ verdict: 'INVALID', presence: { lost: expect.stringContaining('again') } });
});

test('a gateway that is killed takes the fault with it: INVALID, whatever the probes say', async () => {
  const world = await createChaosWorld();
  const started = await inForce(world);
  world.faultPlane.restart();
  const { conclusion } = await finish(world, started);
  expect(conclusion).toMatchObject({ verdict: 'INVALID', reasons: [expect.stringContaining('began anew without it')] });
  expect(conclusion!.presence!.presentMs).toBeLessThan(3_000);
});

test('a gateway that hands its faults over to the next one spoils nothing', async () => {
  const world = await createChaosWorld();
  const started = await inForce(world);
  world.faultPlane.restart({ handOver: true });
  const { conclusion } = await finish(world, started);
  expect(conclusion).toMatchObject({ verdict: 'PASS', presence: { lost: null } });
  expect(conclusion!.presence!.presentMs).toBeGreaterThan(11_000);
  expect(conclusion!.injection!.injected).toBeGreaterThan(1_000);
});

test.each<[string, (world: ChaosWorld, target: string) => void, string]>([
  ['ended and replaced by its supervisor', (world, target) => void world.workloads.replace(target), 'took its place'],
  ['ended, and nothing is in its place yet', (world, target) => world.workloads.crash(target, 'ended'), 'was ended'],
  ['continued', (world, target) => world.paused.delete(target), 'was continued'],
  ['continued and stopped again between two looks', (world, target) => world.stir(target), 'was continued'],
])('a paused process that is %s makes the run INVALID', async (_, disturb, says) => {
  const world = await createChaosWorld();
  const started = await inForce(world, { fault: { kind: 'pause' } });
  const [target] = started.plan.targets;
  const { pid } = world.workloads.list().find((one) => one.id === target)!;
  disturb(world, target!);
  const run = await finish(world, started);
  expect(run).toMatchObject({ revertReason: 'lost', conclusion: { verdict: 'INVALID' } });
  expect(run.conclusion!.reasons[0]).toContain(`process ${pid} of ${target}`);
  expect(run.conclusion!.reasons[0]).toContain(says);
  await world.clock.advance(5_000);
  expect(world.paused.size).toBe(0);
});

test('a pause shows the same pid, stopped until its end; a kill shows that the process is gone', async () => {
  for (const [kind, fate] of [
    ['pause', 'stopped'],
    ['kill', 'ended'],
  ] as const) {
    const world = await createChaosWorld();
    const pids = new Map(world.workloads.list().map(({ id, pid }) => [id, pid]));
    const { conclusion, plan } = await finish(world, await inForce(world, { fault: { kind } }));
    const [instance] = plan.targets;
    expect(conclusion).toMatchObject({
      verdict: 'PASS',
      presence: { plannedMs: 12_000, presentMs: 12_000, processes: [{ instance, pid: pids.get(instance!), fate }] },
    });
  }
});

test('a process that outlives SIGKILL was not killed', async () => {
  const world = await createChaosWorld();
  for (const { id } of world.workloads.list()) world.immortal.add(id);
  const { conclusion } = await finish(world, await inForce(world, { fault: { kind: 'kill' } }));
  expect(conclusion).toMatchObject({ verdict: 'INVALID', reasons: [expect.stringContaining('outlived SIGKILL')] });
});

test('requests that get past the fault are counted against it, though it was in force all the time', async () => {
  const world = await createChaosWorld();
  world.passingShare = 0.5;
  const { conclusion } = await finish(world, await inForce(world));
  expect(conclusion).toMatchObject({
    verdict: 'INVALID',
    reasons: [expect.stringMatching(/^the fault hit \d+ of \d+ requests in its scope; 100% were to be hit$/)],
  });
});

test('a share of the requests that is hit as asked is valid, another share is not', async () => {
  const share = { scope: { ...experiment.scope, share: 0.3 } };
  const world = await createChaosWorld();
  expect((await finish(world, await inForce(world, share))).conclusion!.verdict).toBe('PASS');
  const greedy = await createChaosWorld();
  const started = await inForce(greedy, share);
  const all = { ...experiment.scope, instances: started.plan.targets, share: 1 };
  const rule = { id: started.id, action: { kind: 'delay' as const, delayMs: 100 }, scope: all, ttlMs: 10_000 };
  for (let i = 0; i < 15; i++) {
    await greedy.faultPlane.inject([rule]);
    await greedy.clock.advance(500);
  }
  const { conclusion } = await finish(greedy, started);
  expect(conclusion).toMatchObject({ verdict: 'INVALID', reasons: [expect.stringContaining('30% were to be hit')] });
});

test('a run that is stopped early is INCONCLUSIVE, and says for how long its fault was there', async () => {
  const world = await createChaosWorld();
  const started = await inForce(world);
  await world.settle(world.chaos.stopRuns([started.id], 'enough', operator));
  const { presence, verdict } = world.chaos.state().runs[started.id]!.conclusion!;
  expect(verdict).toBe('INCONCLUSIVE');
  expect(presence!.presentMs).toBe(presence!.plannedMs);
  expect(presence!.plannedMs).toBeLessThan(3_000);
});

test('counts of a data plane that began anew are added to those before', () => {
  const report = (inForceMs: number, matched: number): FaultReport => ({
    ...{ id: 'x', expiresInMs: 1, begun: 1, inForceMs, matched, injected: matched, delayed: 0, addedMsSum: 0 },
    ...{ addedMsMax: 0, held: 0 },
  });
  const seen = [report(100, 10), report(600, 60), report(50, 5), report(550, 55)];
  let sum: FaultReport | null = null;
  seen.forEach((now, i) => {
    sum = addReport(sum, seen[i - 1] ?? null, now);
  });
  expect(sum).toMatchObject({ inForceMs: 1_150, matched: 115, injected: 115 });
});

test('a conclusion from before presence was recorded is read as one that tells nothing of it', () => {
  const planned = { run: 'chaos-1', plan: {} as ChaosRun['plan'], reason: 'x', slotMs: null };
  const context = { atMs: 0, by: 'ada' };
  const state = evolve(emptyChaos(), { type: 'chaos.planned', data: planned }, context);
  const conclusion = { verdict: 'PASS', reasons: [] } as unknown as NonNullable<ChaosRun['conclusion']>;
  const after = evolve(state, { type: 'chaos.concluded', data: { run: 'chaos-1', conclusion } }, context);
  expect(after.runs['chaos-1']!.conclusion).toMatchObject({ verdict: 'PASS', presence: null });
});

import { beforeEach, describe, expect, it } from 'vitest';
import type { Ledger } from '../ledger/ledger.ts';
import { openMemoryLedger } from '../ledger/memory-ledger.ts';
import type { LedgerRecord } from '../ledger/record.ts';
import { silentLog } from '../lib/log.ts';
import { createVirtualClock, type VirtualClock } from '../lib/virtual-clock.ts';
import type { DataPlaneState, EffectiveRoute } from '../traffic/dataplane.ts';
import { createMemoryDataPlane, type MemoryDataPlane } from '../traffic/memory-dataplane.ts';
import { driftOf } from './drift.ts';
import type { ReleaseEvent } from './events.ts';
import { given, requestedV2, spec, stepOf } from './release.fixture.ts';
import { type ReadyInstances, routesFor } from './route.ts';
import { scriptedJudge } from './scripted-judge.fixture.ts';
import { createReleaseStore, type ReleaseStore } from './store.ts';
import { createTrafficLane, type TrafficLane } from './traffic-lane.ts';

const MINUTE_MS = 60_000;
const instance = (id: string, port = 9000) => ({ id, host: '127.0.0.1', port, zone: null });

describe('a data plane that does not take the table', () => {
  let clock: VirtualClock;
  let ledger: Ledger;
  let plane: MemoryDataPlane;
  let store: ReleaseStore;
  let lane: TrafficLane;
  let ready: ReadyInstances;
  let applied: number[];

  beforeEach(async () => {
    clock = createVirtualClock();
    ledger = await openMemoryLedger({ clock });
    plane = createMemoryDataPlane(clock);
    ready = { shop: { v1: [instance('shop/v1/1')], v2: [instance('shop/v2/1', 9001)] } };
    applied = [];
    const { apply } = plane;
    const dataPlane = {
      ...plane,
      apply: (table: Parameters<typeof apply>[0]) => {
        applied.push(clock.monoMs());
        return apply(table);
      },
    };
    store = createReleaseStore({
      ...{ ledger, judge: scriptedJudge, nowMs: () => clock.nowMs(), log: silentLog },
      onFatal: (error) => {
        throw error;
      },
    });
    lane = createTrafficLane({
      ...{ spec, store, dataPlane, clock, log: silentLog },
      ready: () => ready,
      term: () => ledger.head().term,
      onFirstSeen: async () => {},
      onOutranked: () => {},
      onObserved: async () => {},
    });
    await store.commit(() => [{ type: 'service.declared', data: { service: 'shop', stable: 'v1' } }, requestedV2]);
    lane.start();
    await clock.advance(2000);
  });

  async function decide(...events: ReleaseEvent[]): Promise<void> {
    await store.commit(() => events);
    lane.kick();
    await clock.advance(500);
  }

  async function records(type: string): Promise<LedgerRecord[]> {
    const found: LedgerRecord[] = [];
    for await (const record of ledger.read(0)) if (record.type === type) found.push(record);
    return found;
  }

  const rounded = (weightBp: number): number => (weightBp === 0 ? 0 : weightBp + 24);

  it.each([
    // While the canary gets more than was decided it is asked three times as often.
    [24, 5],
    [-24, 15],
  ])('says so, records it once, and asks ever more rarely while a router rounds by %i bp', async (byBp, everyS) => {
    plane.weigh = (weightBp) => (weightBp === 0 ? 0 : weightBp + byBp);
    await decide(stepOf(0));
    expect(lane.inForce()).toBe(false);
    expect(lane.problem()).toBe(`shop: decided 1000 bp, in force ${1000 + byBp} bp`);
    const before = ledger.head().size;
    const asked = applied.length;
    await clock.advance(30 * MINUTE_MS);
    expect(lane.problem()).toContain('decided 1000 bp');
    // The lease is not prolonged for a share that nobody decided: what is in force then is a second state.
    expect(ledger.head().size - before).toBeLessThanOrEqual(1);
    expect((await records('traffic.drift.detected')).length).toBeLessThanOrEqual(2);
    expect(await records('traffic.applied')).toHaveLength(1);
    expect(applied.length - asked).toBeLessThan((30 * 60) / everyS + 10);
    expect(applied.length - asked).toBeGreaterThan((30 * 60) / everyS - 10);
  });

  it('goes on by itself when the router takes the table', async () => {
    plane.weigh = rounded;
    await decide(stepOf(0));
    await clock.advance(10 * MINUTE_MS);
    plane.weigh = (weightBp) => weightBp;
    await clock.advance(15_000);
    expect(lane.problem()).toBeNull();
    expect(lane.inForce()).toBe(true);
    expect(await records('traffic.applied')).toHaveLength(2);
  });

  it('asks at once for a new decision and for instances that moved, however long it has waited', async () => {
    plane.weigh = rounded;
    await decide(stepOf(0));
    await clock.advance(10 * MINUTE_MS);
    ready = { shop: { ...ready.shop, v1: [instance('shop/v1/1', 9400)] } };
    lane.kick();
    await clock.advance(100);
    expect(plane.table()?.services[0]?.versions[0]?.instances[0]?.port).toBe(9400);
    await decide({ type: 'release.cancelled', data: { release: 'shop-1', reason: 'enough' } });
    expect(plane.table()?.services[0]?.canary).toBeNull();
    expect(lane.problem()).toBeNull();
  });

  it('keeps the ledger small while somebody else writes tables all the time', async () => {
    await decide(stepOf(0));
    const before = ledger.head().size;
    for (let second = 0; second < 600; second++) {
      const { term, generation } = await plane.observe();
      const foreign = plane.table()!;
      foreign.services[0]!.canary!.weightBp = 9000;
      await plane.apply({ ...foreign, term, generation: generation + 1 });
      await clock.advance(1000);
    }
    expect(lane.problem()).not.toBeNull();
    expect(await records('traffic.drift.detected')).toHaveLength(1);
    expect(ledger.head().size - before).toBeLessThan(2 * (600 / 5) + 20);
  });

  it('asks a data plane that cannot be reached every second, and writes nothing down', async () => {
    await decide(stepOf(0));
    const before = ledger.head().size;
    const asked = applied.length;
    plane.fault = (call) => (call === 'apply' ? 'failed' : null);
    plane.restart();
    await clock.advance(20_000);
    expect(applied.length - asked).toBeGreaterThan(15);
    plane.fault = () => null;
    await clock.advance(2_000);
    expect(lane.inForce()).toBe(true);
    expect(ledger.head().size - before).toBeLessThanOrEqual(3);
  });
});

describe('what drift is', () => {
  const state = (change: Partial<EffectiveRoute>, generation = 4): DataPlaneState => ({
    ...{ bootId: 'b', term: 1, generation },
    services: [
      {
        ...{ service: 'shop', stable: 'v1', canary: 'v2', decidedWeightBp: 1000, effectiveWeightBp: 1000 },
        ...{ leaseExpired: false, exposure: null, ...change },
      },
    ],
  });
  const routes = routesFor(spec, given(requestedV2, stepOf(0)), { shop: { v2: [instance('shop/v2/1')] } });

  it.each([
    ['nothing', state({}), null],
    ['an older table', state({}, 3), { service: '*', found: 'generation 3', exposes: false }],
    ['a newer table', state({}, 5), { service: '*', found: 'generation 5', exposes: true }],
    ['less than decided', state({ effectiveWeightBp: 900 }), { found: '900 bp', exposes: false }],
    ['more than decided', state({ effectiveWeightBp: 1001 }), { found: '1001 bp', exposes: true }],
    ['a lease that ran out', state({ effectiveWeightBp: 0, leaseExpired: true }), { found: '0 bp (lease expired)' }],
    ['another canary', state({ canary: 'v3' }), { found: 'stable v1 and canary v3', exposes: true }],
    ['another stable version', state({ stable: 'v0' }), { found: 'stable v0 and canary v2', exposes: true }],
    ['a service that is missing', { ...state({}), services: [] }, { found: 'none' }],
  ])('%s', (_name, found, drift) => {
    if (drift === null) expect(driftOf(found, 4, routes)).toBeNull();
    else expect(driftOf(found, 4, routes)).toMatchObject(drift);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { judge } from '../analysis/tep-judge.ts';
import { noOwnAnswers } from '../gateway/stats/own-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { openMemoryLedger } from '../ledger/memory-ledger.ts';
import { silentLog } from '../lib/log.ts';
import { createVirtualClock, type VirtualClock } from '../lib/virtual-clock.ts';
import type { CounterSnapshot, InstanceCounters } from '../metrics/source.ts';
import { createMemoryDataPlane, type MemoryDataPlane } from '../traffic/memory-dataplane.ts';
import { createLookLane, type LookLane } from './look-lane.ts';
import { policy, requestedV2, service, spec, stepOf } from './release.fixture.ts';
import type { ReadyInstances } from './route.ts';
import { createReleaseStore, type ReleaseStore } from './store.ts';
import { createTrafficLane, type TrafficLane } from './traffic-lane.ts';

const EDGES = [100, 500];
const instance = (id: string, port: number) => ({ id, host: '127.0.0.1', port, zone: null });
const twoServices = { ...spec, services: { shop: service, pay: { ...service, name: 'pay', listenPort: 8081 } } };

/** Counts per second of a version: requests and failures. */
interface PerSecond {
  requests: number;
  failures: number;
}

describe('looks at a release while other services change', () => {
  let clock: VirtualClock;
  let ledger: Ledger;
  let plane: MemoryDataPlane;
  let store: ReleaseStore;
  let lane: TrafficLane;
  let looks: LookLane;
  let ready: ReadyInstances;
  let canary: PerSecond;
  let sums: { canary: PerSecond; stable: number; atMs: number };

  beforeEach(async () => {
    clock = createVirtualClock();
    ledger = await openMemoryLedger({ clock });
    plane = createMemoryDataPlane(clock);
    canary = { requests: 10, failures: 0 };
    sums = { canary: { requests: 0, failures: 0 }, stable: 0, atMs: clock.monoMs() };
    ready = {
      shop: { v1: [instance('shop/v1/1', 9000)], v2: [instance('shop/v2/1', 9001)] },
      pay: { v1: [instance('pay/v1/1', 9002)] },
    };
    store = createReleaseStore({
      ...{ ledger, judge, nowMs: () => clock.nowMs(), log: silentLog },
      onFatal: (error) => {
        throw error;
      },
    });
    lane = createTrafficLane({
      ...{ spec: twoServices, store, dataPlane: plane, clock, log: silentLog },
      ready: () => ready,
      term: () => ledger.head().term,
      onFirstSeen: async () => {},
      onOutranked: () => {},
      onObserved: async () => {},
    });
    looks = createLookLane({
      ...{ store, lane, judge, clock },
      metrics: { read: async () => countersNow() },
      ageMs: () => null,
      mayRaise: () => true,
      act: () => {},
    });
    const { data } = requestedV2 as Extract<typeof requestedV2, { type: 'release.requested' }>;
    const slow = { ...policy, lookMs: 3000, noData: { holdMs: 60_000, then: 'rollback' as const } };
    await store.commit(() => [
      { type: 'service.declared', data: { service: 'shop', stable: 'v1' } },
      { type: 'service.declared', data: { service: 'pay', stable: 'v1' } },
      { type: 'release.requested', data: { ...data, policy: slow } },
      stepOf(0),
    ]);
    lane.start();
    await clock.advance(500);
  });

  function countersNow(): CounterSnapshot {
    const seconds = (clock.monoMs() - sums.atMs) / 1000;
    sums = {
      canary: {
        requests: sums.canary.requests + canary.requests * seconds,
        failures: sums.canary.failures + canary.failures * seconds,
      },
      stable: sums.stable + 90 * seconds,
      atMs: clock.monoMs(),
    };
    return {
      ...{ bootId: 'boot', atMs: clock.nowMs(), monoMs: clock.monoMs() },
      services: [
        {
          ...{ service: 'shop', edgesMs: EDGES },
          instances: [row('v1', sums.stable, 0), row('v2', sums.canary.requests, sums.canary.failures)],
          own: noOwnAnswers(),
        },
      ],
    };
  }

  function row(version: string, requests: number, failures: number): InstanceCounters {
    const counts = {
      ...{ requests, status2xx: requests - failures, status3xx: 0, status4xx: 0, status5xx: failures },
      ...{ timeouts: 0, resets: 0, over: [0, 0], durationMsSum: 0 },
    };
    return { instance: `shop/${version}/1`, version, cohort: 'weight', outcome: counts, firstTry: counts };
  }

  /** Seconds in each of which an instance of the other service comes or goes. */
  async function flap(seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      const there = i % 2 === 0 ? [] : [instance('pay/v1/1', 9002)];
      ready = { ...ready, pay: { v1: there } };
      lane.kick();
      await clock.advance(1000);
      await looks.lookDue();
    }
  }

  const release = () => store.fleet().releases['shop-1']!;

  it('goes on with looks, and counts every second of the traffic', async () => {
    await flap(31);
    expect(release().judgement).toMatchObject({ verdict: 'continue' });
    expect(release().elapsedMs).toBe(30_000);
    expect(release().counts.at(-1)).toMatchObject({ canaryRequests: 300, stableRequests: 2700 });
  });

  it('rolls a failing canary back on its second look', async () => {
    await flap(4);
    canary = { requests: 10, failures: 10 };
    await flap(6);
    expect(release()).toMatchObject({ phase: 'rolled-back', rollback: { cause: 'instant' } });
  });

  it('judges what came before a step under the weight of that time', async () => {
    await flap(7);
    await store.commit(() => [stepOf(1)]);
    lane.kick();
    await clock.advance(1000);
    await looks.lookNow('shop-1');
    expect(release()).toMatchObject({ phase: 'progressing', step: 1, held: null });
    expect(release().counts.reduce((sum, { canaryRequests }) => sum + canaryRequests, 0)).toBe(70);
  });

  it('looks for harm, and counts as without data, while the decided weight is not in force', async () => {
    plane.weigh = (weightBp) => (weightBp === 0 ? 0 : weightBp + 24);
    await flap(30);
    expect(release()).toMatchObject({ phase: 'progressing', held: { verdict: 'hold' } });
    expect(release().held!.reason).toContain('the decided weight of 10% is not in force, the canary gets 10.24%');
    canary = { requests: 10, failures: 10 };
    await flap(6);
    expect(release()).toMatchObject({ phase: 'rolled-back', rollback: { cause: 'instant' } });
  });

  it('rolls back what could not be confirmed for the declared time', async () => {
    plane.weigh = (weightBp) => (weightBp === 0 ? 0 : weightBp + 24);
    await flap(75);
    expect(release()).toMatchObject({ phase: 'rolled-back', rollback: { cause: 'no-data' } });
  });
});

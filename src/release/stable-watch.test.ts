import { beforeEach, describe, expect, it } from 'vitest';
import { noOwnAnswers } from '../gateway/stats/own-answers.ts';
import type { CounterSnapshot, InstanceCounters } from '../metrics/source.ts';
import { given, requestedV2, spec, stepOf } from './release.fixture.ts';
import { StableWatch } from './stable-watch.ts';

const EDGES = [100, 500];

describe('what is known of stable before a release', () => {
  let watch: StableWatch;
  let atMs: number;
  let sums: { requests: number; failures: number; slow: number };

  beforeEach(() => {
    watch = new StableWatch(spec);
    atMs = 0;
    sums = { requests: 0, failures: 0, slow: 0 };
  });

  /** Readings every ten seconds, in each of which stable does this. */
  function pass(readings: number, each: typeof sums, fleet = given(), bootId = 'one'): void {
    for (let i = 0; i < readings; i++) {
      atMs += 10_000;
      sums = {
        requests: sums.requests + each.requests,
        failures: sums.failures + each.failures,
        slow: sums.slow + each.slow,
      };
      watch.note(reading(bootId), fleet);
    }
  }

  function reading(bootId: string): CounterSnapshot {
    const { requests, failures, slow } = sums;
    const firstTry = {
      ...{ requests, status2xx: requests - failures, status3xx: 0, status4xx: 0, status5xx: failures },
      ...{ timeouts: 0, resets: 0, over: [slow, 0], durationMsSum: 0 },
    };
    const row: InstanceCounters = {
      ...{ instance: 'shop/v1/1', version: 'v1', cohort: 'weight', outcome: firstTry, firstTry },
    };
    const shop = { service: 'shop', edgesMs: EDGES, instances: [row], own: noOwnAnswers() };
    return { bootId, atMs, monoMs: atMs, services: [shop] };
  }

  const calm = { requests: 1000, failures: 1, slow: 50 };

  it('is the traffic of the stable version, as shares that a release begins with', () => {
    pass(61, calm);
    const history = watch.historyOf('shop', 'v1')!;
    expect(history.edges).toEqual(EDGES);
    expect(history.errors / history.requests).toBeCloseTo(0.001, 6);
    expect(history.over[0]! / history.requests).toBeCloseTo(0.05, 6);
  });

  it('leaves an incident out, so that a release begun in it has a sound yardstick', () => {
    pass(61, calm);
    pass(12, { requests: 1000, failures: 300, slow: 900 });
    const history = watch.historyOf('shop', 'v1')!;
    expect(history.errors / history.requests).toBeCloseTo(0.001, 4);
    expect(history.over[0]! / history.requests).toBeCloseTo(0.05, 3);
  });

  it('is nothing where stable was hardly seen, or where another version is stable', () => {
    pass(2, { requests: 20, failures: 0, slow: 0 });
    expect(watch.historyOf('shop', 'v1')).toBeUndefined();
    pass(61, calm);
    expect(watch.historyOf('shop', 'v2')).toBeUndefined();
    expect(watch.historyOf('toString', 'v1')).toBeUndefined();
  });

  it('learns nothing while a release is in flight, and goes on after a restart of the source', () => {
    pass(61, calm);
    const before = watch.historyOf('shop', 'v1')!.requests;
    pass(10, calm, given(requestedV2, stepOf(0)));
    expect(watch.historyOf('shop', 'v1')!.requests).toBe(before);
    sums = { requests: 0, failures: 0, slow: 0 };
    atMs = 0;
    pass(13, calm, given(), 'two');
    expect(watch.historyOf('shop', 'v1')!.requests).toBeGreaterThan(before);
  });
});

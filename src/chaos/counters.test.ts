import { expect, test } from 'vitest';
import { noOwnAnswers } from '../gateway/stats/own-answers.ts';
import type { CounterSnapshot, OutcomeCounts } from '../metrics/source.ts';
import { joined, only, serviceDelta } from './counters.ts';
import { gatewayCounts, judgeCheck, quantileOf } from './observation.ts';

function counts(requests: number, errors: number, over: number[]): OutcomeCounts {
  const rest = { status2xx: requests - errors, status3xx: 0, status4xx: 0, timeouts: 0, resets: 0, durationMsSum: 0 };
  return { requests, status5xx: errors, over, ...rest };
}

interface Reading {
  outcome: OutcomeCounts;
  firstTry?: OutcomeCounts;
  own?: number;
  bootId?: string;
  edges?: number[];
}

function snapshot({ outcome, firstTry = outcome, own = 0, bootId = 'a', edges = [10, 100] }: Reading): CounterSnapshot {
  const instance = { instance: 'b/v1/1', version: 'v1', cohort: 'weight' as const, outcome, firstTry };
  return {
    ...{ bootId, atMs: 0, monoMs: 0 },
    services: [
      {
        ...{ service: 'b', edgesMs: edges, instances: [instance] },
        own: { ...noOwnAnswers(), limiter: 99, injected: own, badRequest: 99, deadline: 99 },
      },
    ],
  };
}

const before = snapshot({ outcome: counts(100, 1, [50, 5]) });

test('the difference of two readings, with what the gateway refused on its own', () => {
  const delta = serviceDelta(before, snapshot({ outcome: counts(150, 3, [60, 6]), own: 4 }), 'b');
  expect(delta).toEqual({
    edgesMs: [10, 100],
    instances: [
      { instance: 'b/v1/1', requests: 50, errors: 2, over: [10, 1] },
      { instance: '(gateway)', requests: 4, errors: 4, over: [0, 0] },
    ],
  });
  expect(only(delta!, ['b/v1/1']).instances).toHaveLength(1);
});

test('time spent waiting for another instance is not held against the one that answered', () => {
  const after = snapshot({ outcome: counts(110, 1, [60, 15]), firstTry: counts(110, 1, [50, 5]), own: 3 });
  expect(serviceDelta(before, after, 'b', 'firstTry')!.instances).toEqual([
    { instance: 'b/v1/1', requests: 10, errors: 0, over: [0, 0] },
  ]);
});

test.each<[string, CounterSnapshot]>([
  ['the gateway restarted', snapshot({ outcome: counts(150, 1, [60, 6]), bootId: 'b' })],
  ['a counter went backwards', snapshot({ outcome: counts(90, 1, [50, 5]) })],
  ['the edges changed', snapshot({ outcome: counts(150, 1, [60, 6]), edges: [10, 200] })],
  ['a counter is no number', snapshot({ outcome: counts(Number.NaN, 1, [60, 6]) })],
])('no data when %s', (_, after) => {
  expect(serviceDelta(before, after, 'b')).toBeNull();
});

test('a service that is not counted gives no data', () => {
  expect(serviceDelta(before, before, 'c')).toBeNull();
  expect(joined([])).toBeNull();
});

test('deltas that follow one another add up', () => {
  const delta = serviceDelta(before, snapshot({ outcome: counts(150, 3, [60, 6]) }), 'b')!;
  expect(joined([delta, delta])!.instances).toEqual([{ instance: 'b/v1/1', requests: 100, errors: 4, over: [20, 2] }]);
});

test('a latency limit between two edges is held against the lower one; below the first nothing is known to be quick', () => {
  const delta = { edgesMs: [10, 100], instances: [{ instance: 'i', requests: 50, errors: 2, over: [10, 1] }] };
  const at = (underMs: number) =>
    gatewayCounts(
      {
        kind: 'gateway',
        name: 'p',
        service: 'b',
        errorShare: 0.1,
        latency: [{ quantile: 0.95, underMs }],
        minRequests: 1,
      },
      delta,
    );
  expect(at(100)).toEqual([
    { requests: 50, bad: 2 },
    { requests: 50, bad: 1 },
  ]);
  expect(at(99)[1]).toEqual({ requests: 50, bad: 10 });
  expect(at(5)[1]).toEqual({ requests: 50, bad: 50 });
});

test.each([
  ['exactly the allowed share', 100, 5, true],
  ['one more', 100, 6, false],
  ['too few requests', 19, 0, null],
  ['none', 0, 0, null],
])('a check of 5 %%: %s', (_, requests, bad, holds) => {
  const spec = { probe: 'p', what: 'p95', allowedBadShare: 1 - 0.95, minRequests: 20 };
  expect(judgeCheck(spec, { requests, bad }).holds).toBe(holds);
});

test('a quantile lies on the straight line between two edges', () => {
  const instances = [{ instance: 'i', requests: 100, errors: 0, over: [20, 0] }];
  expect(quantileOf([10, 100], instances, 0.8)).toBeCloseTo(10);
  expect(quantileOf([10, 100], instances, 0.9)).toBeCloseTo(55);
  expect(quantileOf([10, 100], [], 0.9)).toBeNull();
});

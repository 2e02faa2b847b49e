import { describe, expect, it } from 'vitest';
import { noOwnAnswers } from '../gateway/stats/own-answers.ts';
import type { CallerCounters, CounterSnapshot, OutcomeCounts } from '../metrics/source.ts';
import { edgesBetween } from './flow.ts';

function counts(requests: number, status5xx: number, over: number[]): OutcomeCounts {
  const none = { status2xx: 0, status3xx: 0, status4xx: 0, timeouts: 0, resets: 0, durationMsSum: 0 };
  return { ...none, requests, status5xx, over };
}

function reading(monoMs: number, callers: CallerCounters[]): CounterSnapshot {
  const own = noOwnAnswers();
  return {
    bootId: 'b',
    atMs: 1_000 + monoMs,
    monoMs,
    services: [{ service: 'cart', edgesMs: [10, 100], own, instances: [], callers }],
  };
}

describe('edges between two readings', () => {
  it('have the rate, the errors and the latency of the window, for a caller that is new in it too', () => {
    const before = reading(0, [
      { caller: 'shop', kind: 'service', outcome: counts(100, 1, [0, 0]), lastAtMs: 900 },
      { caller: 'external', kind: 'external', outcome: counts(7, 0, [0, 0]), lastAtMs: 5 },
    ]);
    const after = reading(2_000, [
      { caller: 'shop', kind: 'service', outcome: counts(300, 11, [200, 0]), lastAtMs: 2_900 },
      { caller: 'external', kind: 'external', outcome: counts(7, 0, [0, 0]), lastAtMs: 5 },
      { caller: 'unknown', kind: 'unknown', outcome: counts(4, 0, [0, 0]), lastAtMs: 2_000 },
    ]);
    expect(edgesBetween(before, after, 2_000)).toMatchObject([
      { from: { kind: 'service', name: 'shop' }, to: 'cart', perSecond: 100, errorShare: 0.05, lastAtMs: 2_900 },
      { from: { kind: 'external' }, perSecond: 0, errorShare: null, p95Ms: null, lastAtMs: 5 },
      { from: { kind: 'unknown' }, perSecond: 2, errorShare: 0, p95Ms: 9.5 },
    ]);
    expect(edgesBetween(before, after, 2_000)[0]?.p95Ms).toBeCloseTo(95.5, 5);
  });

  it('are none where the source cannot tell callers apart', () => {
    const { services, ...rest } = reading(0, []);
    const untold = { ...rest, services: services.map(({ callers: _, ...service }) => service) };
    expect(edgesBetween(untold, { ...untold, monoMs: 1_000 }, 1_000)).toEqual([]);
  });
});

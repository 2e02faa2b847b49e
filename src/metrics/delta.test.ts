import { describe, expect, it } from 'vitest';
import { noOwnAnswers } from '../gateway/stats/own-answers.ts';
import { tickBetween } from './delta.ts';
import type { CounterSnapshot, OutcomeCounts } from './source.ts';

const counts = (more: Partial<OutcomeCounts> = {}): OutcomeCounts => ({
  requests: 0,
  status2xx: 0,
  status3xx: 0,
  status4xx: 0,
  status5xx: 0,
  timeouts: 0,
  resets: 0,
  over: [0, 0],
  durationMsSum: 0,
  ...more,
});

function snapshot(
  monoMs: number,
  firstTry: Partial<OutcomeCounts>,
  more: Partial<CounterSnapshot> = {},
): CounterSnapshot {
  const own = noOwnAnswers();
  const instance = { instance: 'a', version: 'v2', outcome: counts(), firstTry: counts(firstTry) };
  const instances = [
    { ...instance, cohort: 'weight' as const },
    { ...instance, cohort: 'header' as const, firstTry: counts({ requests: 999 }) },
  ];
  return {
    bootId: 'one',
    atMs: 0,
    monoMs,
    services: [{ service: 'shop', edgesMs: [100, 500], instances, own }],
    ...more,
  };
}

const question = {
  service: 'shop',
  versions: ['v1', 'v2'],
  errors: ['5xx' as const, 'timeout' as const, 'reset' as const],
  t: 7,
  ageMs: () => 1234,
};
const before = snapshot(1000, { requests: 10, status5xx: 1, over: [4, 1] });

describe('a tick between two readings', () => {
  it('counts what happened in the weighted cohort, nothing else', () => {
    const after = snapshot(2500, { requests: 110, status5xx: 3, timeouts: 2, status4xx: 50, over: [14, 2] });
    expect(tickBetween(before, after, question)).toEqual({
      problem: null,
      tick: {
        t: 7,
        dtMs: 1500,
        edges: [100, 500],
        versions: { v1: [], v2: [{ instance: 'a', requests: 100, errors: 4, over: [10, 1], ageMs: 1234 }] },
      },
    });
  });

  it('counts 4xx only when the policy asks for it', () => {
    const after = snapshot(2000, { requests: 20, status4xx: 5, status5xx: 1, over: [4, 1] });
    const { tick } = tickBetween(before, after, { ...question, errors: ['4xx'] });
    expect(tick?.versions.v2?.[0]?.errors).toBe(5);
  });

  it('leaves out what the gateway ended by itself: it is neither a failure nor a request that went well', () => {
    const after = snapshot(2500, { requests: 110, unjudged: 97, status5xx: 2, over: [14, 2] });
    const { tick } = tickBetween(before, after, question);
    expect(tick?.versions.v2).toEqual([{ instance: 'a', requests: 3, errors: 1, over: [3, 1], ageMs: 1234 }]);
  });

  const later = { requests: 20, status5xx: 1, over: [4, 1] };
  const gone: [string, CounterSnapshot, string][] = [
    ['a restarted source', snapshot(2000, later, { bootId: 'two' }), 'restarted'],
    ['a clock that stood still', snapshot(1000, later), 'older reading'],
    ['a clock that stepped back', snapshot(500, later), 'older reading'],
    ['fewer requests than before', snapshot(2000, { ...later, requests: 5 }), 'backwards'],
    ['a count that is no number', snapshot(2000, { ...later, requests: Number.NaN }), 'no number'],
    ['fewer slow requests', snapshot(2000, { ...later, over: [3, 1] }), 'backwards'],
    ['no counters for the service', snapshot(2000, later, { services: [] }), 'nothing for shop'],
  ];
  it.each(gone)('gives none for %s, and says why', (_name, after, says) => {
    const result = tickBetween(before, after, question);
    expect(result.tick).toBeNull();
    expect(result.problem).toContain(says);
  });

  it('leaves out instances of a version that was not asked for, whatever its name', () => {
    const after = snapshot(2000, { requests: 20, status5xx: 1, over: [4, 1] });
    for (const name of ['v3', 'constructor', '__proto__']) {
      after.services[0]!.instances[0]!.version = name;
      expect(tickBetween(before, after, question).tick?.versions).toEqual({ v1: [], v2: [] });
    }
  });

  it('gives none when the edges changed', () => {
    const after = snapshot(2000, later);
    after.services[0]!.edgesMs = [100, 600];
    expect(tickBetween(before, after, question).problem).toContain('edges changed');
  });
});

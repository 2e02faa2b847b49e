import { describe, expect, it } from 'vitest';
import { noOwnAnswers } from '../gateway/stats/own-answers.ts';
import { tickBetween } from './delta.ts';
import type { CounterSnapshot, InstanceCounters, OutcomeCounts, UnservedCounts } from './source.ts';
import type { InstanceTick } from './tick.ts';

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
    const counted = { requests: 3, started: 100, errors: 1, over: [3, 1] };
    expect(tick?.versions.v2).toEqual([{ instance: 'a', ...counted, ageMs: 1234 }]);
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

describe('requests in progress', () => {
  const none = { requests: 0, unanswered: 0, overdue: 0, over: [0, 0] };
  const noneUnserved = { requests: 0, status4xx: 0, status5xx: 0, timeouts: 0, resets: 0 };
  /** A reading with what is in progress on the one instance that counts. */
  function reading(monoMs: number, firstTry: Partial<OutcomeCounts>, more: Partial<InstanceCounters>): CounterSnapshot {
    const one = snapshot(monoMs, firstTry);
    Object.assign(one.services[0]!.instances[0]!, more);
    return one;
  }
  const rowOf = (from: CounterSnapshot, to: CounterSnapshot): InstanceTick | undefined =>
    tickBetween(from, to, question).tick?.versions.v2?.[0];

  const waitingThen = { ...none, requests: 4, unanswered: 4, overdue: 1, over: [3, 1] };
  const first = reading(
    1000,
    { requests: 10, over: [4, 1] },
    { started: 14, waiting: waitingThen, unserved: noneUnserved },
  );

  it('are told by what was sent, what waits longer now, and what is lost', () => {
    const waiting = { ...none, requests: 9, unanswered: 8, overdue: 3, over: [8, 4] };
    const next = reading(2000, { requests: 12, over: [4, 1] }, { started: 21, waiting, unserved: noneUnserved });
    expect(rowOf(first, next)).toEqual({
      ...{ instance: 'a', requests: 2, errors: 0, over: [0, 0], ageMs: 1234 },
      ...{ started: 7, waiting: [5, 3], unanswered: 8, unserved: 2, overdue: 2 },
    });
  });

  it('count once, as slow and as lost, however they end', () => {
    const ends: [Partial<OutcomeCounts>, Partial<UnservedCounts>, { errors: number; unserved?: number }][] = [
      [{ timeouts: 1 }, { timeouts: 1 }, { errors: 1, unserved: -1 }],
      [{ status2xx: 1 }, {}, { errors: 0 }],
      [{ aborted: 1 }, {}, { errors: 0 }],
    ];
    for (const [outcome, unserved, expected] of ends) {
      const waiting = { ...none, requests: 3, unanswered: 3, over: [2, 0] };
      const lost = { ...noneUnserved, requests: 1, ...unserved };
      const next = reading(2000, { requests: 11, over: [5, 2], ...outcome }, { started: 14, waiting, unserved: lost });
      expect(rowOf(first, next)).toEqual({
        ...{ instance: 'a', requests: 1, over: [1, 1], ageMs: 1234, ...expected },
        ...{ started: 0, waiting: [-1, -1], unanswered: 3, overdue: -1 },
      });
    }
  });

  it('that went with the process that held them are not taken back', () => {
    const next = reading(2000, { requests: 10, over: [4, 1] }, { started: 14, unserved: noneUnserved });
    expect(rowOf(first, next)).toEqual({ instance: 'a', requests: 0, errors: 0, over: [0, 0], ageMs: 1234 });
  });

  it('are unknown to an older source: as many were sent as ended', () => {
    expect(rowOf(before, snapshot(2000, { requests: 15, status5xx: 1, over: [4, 1] }))).toEqual({
      ...{ instance: 'a', requests: 5, errors: 0, over: [0, 0], ageMs: 1234 },
    });
  });

  it.each<[string, Partial<InstanceCounters>]>([
    ['fewer sent than before', { started: 3 }],
    ['a count of what was sent that is no number', { started: Number.NaN }],
    ['waiting requests that are no number', { started: 14, waiting: { ...none, over: [Number.NaN, 0] } }],
    ['lost requests that are no number', { started: 14, unserved: { ...noneUnserved, requests: Number.NaN } }],
  ])('give no tick for %s', (_, more) => {
    const next = reading(2000, { requests: 12, over: [4, 1] }, more);
    expect(tickBetween(first, next, question)).toMatchObject({
      tick: null,
      problem: expect.stringContaining('of a went'),
    });
  });
});

describe('clients dealt', () => {
  const dealing = (monoMs: number, dealt: Record<string, number>, diverted: number): CounterSnapshot => {
    const one = snapshot(monoMs, { requests: 10, status5xx: 1, over: [4, 1] });
    one.services[0]!.clients = { dealt, diverted };
    return one;
  };

  it('are told where clients are dealt, and nowhere else', () => {
    const { tick } = tickBetween(dealing(1000, { v1: 5 }, 2), dealing(2000, { v1: 8, v2: 1 }, 2), question);
    expect(tick?.clients).toEqual({ dealt: { v1: 3, v2: 1 }, diverted: 0 });
    expect(
      tickBetween(dealing(1000, { v1: 5 }, 2), snapshot(2000, { requests: 10, status5xx: 1, over: [4, 1] }), question)
        .tick,
    ).not.toHaveProperty('clients');
  });

  it('begin at 0 when the split becomes a sticky one', () => {
    const { tick } = tickBetween(before, dealing(2000, { v1: 8 }, 1), question);
    expect(tick?.clients).toEqual({ dealt: { v1: 8, v2: 0 }, diverted: 1 });
  });

  it('that became fewer give no tick', () => {
    const found = tickBetween(dealing(1000, { v1: 5 }, 2), dealing(2000, { v1: 4 }, 2), question);
    expect(found).toMatchObject({ tick: null, problem: expect.stringContaining('clients went backwards') });
  });
});

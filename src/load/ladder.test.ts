import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  judgeOverload,
  judgeStep,
  kneeOf,
  type LadderStep,
  ladderDefaults as limits,
  nextRate,
  type StepJudgement,
} from './ladder.ts';
import type { InvalidCause, LoadResult } from './result.ts';

interface Spoiled {
  causes?: InvalidCause[];
  /** The p99, and what it was at least. */
  p99Ms?: number | null;
  lowMs?: number;
  sound?: boolean;
  failed?: number;
}

/** A service that carries `capacity` requests per second and queues the rest. */
function offered(ratePerSecond: number, capacity: number, spoiled: Spoiled = {}): LadderStep {
  const achieved = Math.min(ratePerSecond, capacity);
  const { causes = [], p99Ms = ratePerSecond > capacity ? 5_000 : 20, sound = true, failed = 0 } = spoiled;
  const result = {
    validity: { verdict: causes.length === 0 ? 'VALID' : 'INVALID', reasons: causes, causes, unsound: [] },
    ...{ offeredPerSecond: ratePerSecond, achievedPerSecond: achieved, durationMs: 10_000, warmupMs: 0, dropped: 0 },
    counts: { requests: ratePerSecond * 10, ok: achieved * 10 - failed, errors: {}, statuses: {} },
    response: { quantiles: { p99: { ms: p99Ms, lowMs: spoiled.lowMs ?? p99Ms, sound } } },
  } as unknown as LoadResult;
  return { ratePerSecond, result };
}

const from = (startPerSecond: number, maxPerSecond: number) => ({ startPerSecond, maxPerSecond, limits });

/** `spoil` says what the generator does to a try of a rate. */
function climb(
  capacity: number,
  startPerSecond: number,
  maxPerSecond: number,
  spoil: (rate: number, tries: number) => Spoiled = () => ({}),
): LadderStep[] {
  const steps: LadderStep[] = [];
  for (;;) {
    const rate = nextRate(steps, from(startPerSecond, maxPerSecond));
    if (rate === null) return steps;
    const tries = steps.filter((step) => step.ratePerSecond === rate).length;
    steps.push(offered(rate, capacity, spoil(rate, tries)));
    if (steps.length > 300) throw new Error('the ladder does not end');
  }
}

const busy: Spoiled = { causes: ['busy'] };

test('the ladder ends at the knee, within 10 % or one request, whatever the capacity', () => {
  const anyRate = fc.integer({ min: 1, max: 50_000 });
  fc.assert(
    fc.property(anyRate, fc.integer({ min: 1, max: 1_000 }), (capacity, start) => {
      const { found, ratedPerSecond, beyond } = kneeOf(climb(capacity, start, 100_000), from(start, 100_000));
      expect(found).toBe('knee');
      expect(ratedPerSecond).toBeLessThanOrEqual(capacity * 1.011);
      expect(beyond!.ratePerSecond).toBeGreaterThan(capacity);
      expect(ratedPerSecond! * 1.1 + 1).toBeGreaterThanOrEqual(beyond!.ratePerSecond - 1);
    }),
  );
});

test('rungs that the generator spoils once or twice cost tries and not the knee', () => {
  const isSpoiled = fc.func(fc.boolean());
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 20_000 }), isSpoiled, (capacity, spoiled) => {
      const spoil = (rate: number, tries: number): Spoiled => (tries < 2 && spoiled(rate, tries) ? busy : {});
      const plain = kneeOf(climb(capacity, 10, 100_000), from(10, 100_000));
      const found = kneeOf(climb(capacity, 10, 100_000, spoil), from(10, 100_000));
      expect({ ...found, unknown: null }).toEqual(plain);
    }),
  );
});

test('a rate that the generator cannot judge is no upper bound: at least so much is carried, and no knee is told', () => {
  // A generator that is too busy for what it cannot show to be carried above 300/s, and a service for 500/s.
  const spoil = (rate: number): Spoiled => (rate > 300 ? { ...busy, p99Ms: 5_000 } : {});
  const steps = climb(500, 100, 20_000, spoil);
  const knee = kneeOf(steps, from(100, 20_000));
  expect(knee).toMatchObject({ found: 'at-least', beyond: null, unknown: { why: expect.stringContaining('busy') } });
  expect(knee.ratedPerSecond).toBeLessThanOrEqual(300);
  expect(knee.ratedPerSecond).toBeGreaterThan(270);
  expect(steps.filter((step) => step.ratePerSecond === knee.unknown!.ratePerSecond)).toHaveLength(3);
});

test('a service that carries the highest rate has no knee below it', () => {
  const steps = climb(1_000_000, 100, 2_000);
  expect(kneeOf(steps, from(100, 2_000))).toEqual({ found: 'max', ratedPerSecond: 2_000, beyond: null, unknown: null });
});

test('a ladder that was ended early tells what it saw, and no knee', () => {
  const knee = kneeOf([offered(100, 500), offered(150, 500)], from(100, 2_000));
  expect(knee).toMatchObject({ found: 'at-least', ratedPerSecond: 150 });
  expect(kneeOf([], from(100, 2_000))).toMatchObject({ found: 'nothing', ratedPerSecond: null });
});

describe('what a rung shows', () => {
  test.each<[string, LadderStep, StepJudgement['carried'], string]>([
    ['all within its limits', offered(100, 500), true, ''],
    ['all within its limits, by a generator that was busy: it only adds', offered(100, 500, busy), true, ''],
    ['all within its limits, by one that was late', offered(100, 500, { causes: ['late'], sound: false }), true, ''],
    ['too little answered', offered(500, 456), false, '456/s of 500/s'],
    ['too little answered to a busy generator', offered(500, 456, busy), 'unknown', '456/s of 500/s'],
    ['arrivals dropped because too many waited', offered(500, 456, { causes: ['dropped'] }), false, '456/s of 500/s'],
    ['failures', offered(100, 500, { failed: 10 }), false, '1.00 % failed'],
    [
      'failures for want of ports here',
      offered(100, 500, { failed: 10, causes: ['local'] }),
      'unknown',
      '1.00 % failed',
    ],
    ['a long p99', offered(100, 500, { p99Ms: 1_200 }), false, 'p99 is 1200.0 ms'],
    [
      'a long p99 that lateness may have made',
      offered(100, 500, { p99Ms: 1_200, lowMs: 900, sound: false }),
      'unknown',
      'lateness',
    ],
    [
      'a long p99 whatever lateness added',
      offered(100, 500, { p99Ms: 3_000, lowMs: 1_100, sound: false }),
      false,
      'p99 is',
    ],
    ['nobody who answers', offered(100, 0, { causes: ['no-answer'], p99Ms: null }), false, '0/s of 100/s'],
    ['nothing sent', offered(100, 500, { causes: ['nothing-sent'], p99Ms: null }), 'unknown', 'nothing was sent'],
  ])('%s', (_, step, carried, why) => {
    const judgement = judgeStep(step, limits);
    expect(judgement.carried).toBe(carried);
    if (judgement.carried !== true) expect(judgement.why).toContain(why);
  });
});

test.each<[string, number, Spoiled, string]>([
  ['sheds and keeps its rated load', 1_000, {}, 'PASS'],
  ['sheds and keeps it, seen by a late generator', 1_000, { causes: ['late'] }, 'PASS'],
  ['collapses', 500, {}, 'FAIL'],
  ['collapses before a busy generator', 500, busy, 'INVALID'],
  ['lets too many wait', 1_000, { causes: ['dropped'] }, 'FAIL'],
  ['is slow', 1_000, { p99Ms: 2_000 }, 'FAIL'],
  ['is slow, or the generator was', 1_000, { p99Ms: 2_000, lowMs: 500, sound: false }, 'INVALID'],
])('overload at 200 %%: a service that %s', (_, good, spoiled, verdict) => {
  const { result } = offered(1_000, good, { p99Ms: 20, ...spoiled });
  expect(judgeOverload(2, 1_000, result, limits)).toMatchObject({ verdict });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeOverload, kneeOf, type LadderStep, ladderDefaults as limits, nextRate } from './ladder.ts';
import type { LoadResult } from './result.ts';

/** A service that carries `capacity` requests per second and queues the rest. */
function offered(ratePerSecond: number, capacity: number, valid = true): LadderStep {
  const achieved = Math.min(ratePerSecond, capacity);
  const result = {
    validity: { verdict: valid ? 'VALID' : 'INVALID', reasons: valid ? [] : ['own CPU'] },
    ...{ offeredPerSecond: ratePerSecond, achievedPerSecond: achieved, durationMs: 10_000, warmupMs: 0 },
    counts: { requests: ratePerSecond * 10, ok: achieved * 10, errors: {}, statuses: {} },
    response: { quantiles: { p99: { ms: ratePerSecond > capacity ? 5_000 : 20 } } },
  } as unknown as LoadResult;
  return { ratePerSecond, result };
}

function climb(capacity: number, startPerSecond: number, maxPerSecond: number): LadderStep[] {
  const steps: LadderStep[] = [];
  for (;;) {
    const rate = nextRate(steps, { startPerSecond, maxPerSecond, limits });
    if (rate === null) return steps;
    steps.push(offered(rate, capacity));
    if (steps.length > 200) throw new Error('the ladder does not end');
  }
}

test('the ladder ends at the knee, within 10 % or one request, whatever the capacity', () => {
  const anyRate = fc.integer({ min: 1, max: 50_000 });
  fc.assert(
    fc.property(anyRate, fc.integer({ min: 1, max: 1_000 }), (capacity, start) => {
      const { ratedPerSecond, beyond } = kneeOf(climb(capacity, start, 100_000), limits);
      expect(ratedPerSecond).toBeLessThanOrEqual(capacity * 1.011);
      expect(beyond!.ratePerSecond).toBeGreaterThan(capacity);
      expect(ratedPerSecond! * 1.1 + 1).toBeGreaterThanOrEqual(beyond!.ratePerSecond - 1);
    }),
  );
});

test('a service that carries the highest rate has no knee below it', () => {
  expect(kneeOf(climb(1_000_000, 100, 2_000), limits)).toEqual({ ratedPerSecond: 2_000, beyond: null });
});

test('a rate that the generator could not offer says nothing about the service', () => {
  const knee = kneeOf([offered(100, 500), offered(150, 500, false)], limits);
  expect(knee).toMatchObject({
    ratedPerSecond: 100,
    beyond: { spoiled: true, why: expect.stringContaining('own CPU') },
  });
});

test.each([
  ['sheds and keeps its rated load', 1_000, 'PASS'],
  ['collapses', 500, 'FAIL'],
])('overload at 200 %%: a service that %s', (_, good, verdict) => {
  const { result } = offered(1_000, good);
  const quick = { ...result, response: { quantiles: { p99: { ms: 20 } } } } as unknown as LoadResult;
  expect(judgeOverload(2, 1_000, quick, limits)).toMatchObject({ verdict });
});

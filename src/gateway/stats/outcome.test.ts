import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ABORTED, mergedEdges, OutcomeTally, RESET, TIMEOUT } from './outcome.ts';

describe('tallies', () => {
  it('count each class once and every duration over its edges', () => {
    const edges = [10, 200, 500];
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(200, 302, 404, 503, TIMEOUT, RESET, ABORTED),
            fc.double({ min: 0, max: 1000, noNaN: true }),
          ),
        ),
        (events) => {
          const tally = new OutcomeTally(mergedEdges(edges));
          for (const [outcome, ms] of events) tally.add(outcome, ms);
          const counts = tally.counts(edges);
          const { requests, status2xx, status3xx, status4xx, status5xx, timeouts, resets, aborted } = counts;
          expect(requests).toBe(events.length);
          expect(status2xx + status3xx + status4xx + status5xx + timeouts + resets + (aborted ?? 0)).toBe(requests);
          expect(counts.over).toEqual(edges.map((edge) => events.filter(([, ms]) => ms > edge).length));
        },
      ),
    );
  });

  it('keep differences exact when the edges change', () => {
    const tally = new OutcomeTally(mergedEdges([200]));
    for (const ms of [1, 150, 300, 900]) tally.add(200, ms);
    tally.rebin(mergedEdges([300]));
    const before = tally.counts([300]).over[0]!;
    for (const ms of [299, 301, 800]) tally.add(200, ms);
    expect(tally.counts([300]).over[0]! - before).toBe(2);
    expect(tally.counts([300]).requests).toBe(7);
  });
});

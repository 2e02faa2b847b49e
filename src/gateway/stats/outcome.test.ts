import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { F, FLAG_RADIX } from './flags.ts';
import { ABORTED, mergedEdges, OutcomeTally, OWN, RESET, TIMEOUT } from './outcome.ts';
import { noOwnAnswers } from './own-answers.ts';
import { countersOf, mergeReports, type ServiceReport } from './report.ts';

/** The counts as the port shows them. */
function counted(tally: OutcomeTally, edgesMs: number[]) {
  const data = tally.data();
  const instance = { instance: 'i', version: 'v', cohort: 'weight' as const, outcome: data, firstTry: data, codes: [] };
  const own = noOwnAnswers();
  const report = {
    service: 's',
    edgesMs,
    own,
    ownCodes: [],
    extras: {},
    instances: [instance],
    callers: [],
    endpoints: [],
  };
  return countersOf('b', 0, 0, [report]).services[0]!.instances[0]!.outcome;
}

describe('tallies', () => {
  it('count each class once and every duration over its edges', () => {
    const edges = [10, 200, 500];
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(200, 302, 404, 503, TIMEOUT, RESET, ABORTED, OWN),
            fc.double({ min: 0, max: 1000, noNaN: true }),
          ),
        ),
        (events) => {
          const tally = new OutcomeTally(mergedEdges(edges));
          for (const [outcome, ms] of events) tally.add(outcome, ms);
          const counts = counted(tally, edges);
          const { requests, status2xx, status3xx, status4xx, status5xx, timeouts, resets } = counts;
          expect(requests).toBe(events.length);
          const neither = (counts.aborted ?? 0) + (counts.unjudged ?? 0);
          expect(status2xx + status3xx + status4xx + status5xx + timeouts + resets + neither).toBe(requests);
          expect(counts.over).toEqual(edges.map((edge) => events.filter(([, ms]) => ms > edge).length));
        },
      ),
    );
  });

  it('keep differences exact when the edges change', () => {
    const tally = new OutcomeTally(mergedEdges([200]));
    for (const ms of [1, 150, 300, 900]) tally.add(200, ms);
    tally.rebin(mergedEdges([300]));
    const before = counted(tally, [300]).over[0]!;
    for (const ms of [299, 301, 800]) tally.add(200, ms);
    expect(counted(tally, [300]).over[0]! - before).toBe(2);
    expect(counted(tally, [300]).requests).toBe(7);
  });
});

describe('reports of several processes', () => {
  it('add up to one', () => {
    const make = (requests: number): ServiceReport => {
      const tally = new OutcomeTally(mergedEdges([200]));
      for (let i = 0; i < requests; i++) tally.add(i % 2 === 0 ? 200 : 500, i);
      const own = { ...noOwnAnswers(), limiter: 1 };
      const instance = {
        instance: 'i',
        version: 'v',
        cohort: 'weight' as const,
        outcome: tally.data(),
        firstTry: tally.data(),
        codes: [[200 * FLAG_RADIX + F.timeout, requests]] as [number, number][],
        codeRadix: FLAG_RADIX,
      };
      const codes: [number, number][] = [[200, requests]];
      const caller = { caller: 'front', kind: 'service' as const, outcome: tally.data(), codes, lastAtMs: requests };
      const endpoints = [{ instance: 'i', inFlight: 1, connections: 2, ejected: 0, healthy: 1 }];
      return {
        service: 's',
        edgesMs: [200],
        own,
        ownCodes: [['429 6', 1]],
        extras: { x_total: 2 },
        instances: [instance],
        callers: [caller],
        endpoints,
      };
    };
    const [merged] = mergeReports([[make(300)], [make(400)]]);
    const counters = countersOf('b', 0, 0, [merged!]).services[0]!;
    expect(counters.instances[0]!.outcome).toMatchObject({
      requests: 700,
      status2xx: 350,
      status5xx: 350,
      over: [99 + 199],
    });
    expect(counters.own.limiter).toBe(2);
    expect(merged).toMatchObject({ ownCodes: [['429 6', 2]], extras: { x_total: 4 } });
    expect(merged!.instances[0]!.codes).toEqual([[200 * FLAG_RADIX + F.timeout, 700]]);
    expect(merged!.callers[0]).toMatchObject({ caller: 'front', codes: [[200, 700]], lastAtMs: 400 });
    expect(counters.callers![0]!.outcome).toMatchObject({ requests: 700, status5xx: 350 });
    expect(merged!.endpoints).toEqual([{ instance: 'i', inFlight: 2, connections: 4, ejected: 0, healthy: 1 }]);
  });

  it('count on in the terms of this gateway what an older one counted in fewer flags and causes', () => {
    const { unjudged: _, ...older } = new OutcomeTally(mergedEdges([200])).data();
    const named = { instance: 'i', version: 'v', cohort: 'weight' as const };
    const codes: [number, number][] = [[503 * 17 + F.reset, 2]];
    const report = {
      service: 's',
      edgesMs: [200],
      own: { limiter: 1, breaker: 0, injected: 0, noUpstream: 0, badRequest: 0 },
      ...{ ownCodes: [], extras: {}, callers: [], endpoints: [] },
      instances: [{ ...named, outcome: older, firstTry: older, codes }],
    } as unknown as ServiceReport;
    const [merged] = mergeReports([[report], [report]]);
    expect(merged!.instances[0]!.codes).toEqual([[503 * FLAG_RADIX + F.reset, 4]]);
    expect(merged!.own).toEqual({ ...noOwnAnswers(), limiter: 2 });
    expect(countersOf('b', 0, 0, [merged!]).services[0]!.instances[0]!.outcome.unjudged).toBe(0);
  });
});

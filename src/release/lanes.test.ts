import { describe, expect, it } from 'vitest';
import type { ReleaseEvent, TrafficLine } from './events.ts';
import { given, requestedV2, spec, stepOf } from './release.fixture.ts';
import { leaseIds, readyInstances, routesDiffer, routesFor, tableOf, trafficLines } from './route.ts';
import { raisesAny } from './traffic-lane.ts';

const instance = (id: string) => ({ id, host: '127.0.0.1', port: 9000, zone: null });
const ready = { shop: { v1: [instance('shop/v1/1')], v2: [instance('shop/v2/1')] } };
const line = (more: Partial<TrafficLine>): TrafficLine => ({
  service: 'shop',
  stable: 'v1',
  canary: null,
  weightBp: 0,
  instances: {},
  ...more,
});

describe('what the data plane should do', () => {
  it('sends everything to stable before the first step', () => {
    const [route] = routesFor(spec, given(requestedV2), ready);
    expect(route).toMatchObject({ stable: 'v1', canary: null });
  });

  it('gives the canary its decided share, its header and a lease that carries the term', () => {
    const routes = routesFor(spec, given(requestedV2, stepOf(0)), ready);
    expect(routes[0]?.canary).toMatchObject({ version: 'v2', weightBp: 1000, header: 'x-canary', release: 'shop-1' });
    expect(tableOf(4, 9, routes).services[0]?.canary?.lease.id).toBe('weight/shop-1/4');
    expect(leaseIds(5, routes)).toEqual(['weight/shop-1/5']);
  });

  it('sends nothing to a canary without a ready instance', () => {
    const [route] = routesFor(spec, given(requestedV2, stepOf(0)), { shop: { v1: ready.shop.v1 } });
    expect(route?.canary).toBeNull();
  });

  it('reaches an instance where its health check reached it, not where its name may lead next', () => {
    const status = { service: 'shop', pid: null, restarts: 0, startedAtMs: null, problem: null } as const;
    const named = { ...status, id: 'shop/v1/1', version: 'v1', host: 'shop.test', port: 80, zone: null };
    const list = (address: string) => readyInstances([{ ...named, phase: 'ready', address }]);
    expect(list('127.0.0.2')).toEqual({ shop: { v1: [{ ...instance('shop/v1/1'), host: '127.0.0.2', port: 80 }] } });
    expect(routesDiffer(routesFor(spec, given(), list('127.0.0.2')), routesFor(spec, given(), list('127.0.0.3')))).toBe(
      true,
    );
    expect(readyInstances([{ ...named, phase: 'unhealthy', address: '127.0.0.2' }])).toEqual({});
  });

  it('sends nothing to an instance that the release took out, unless it is the last one', () => {
    const removed: ReleaseEvent = {
      type: 'release.instance.removed',
      data: { release: 'shop-1', instance: 'shop/v2/1', reason: '' },
    };
    const two = { shop: { ...ready.shop, v2: [instance('shop/v2/1'), instance('shop/v2/2')] } };
    const idsOf = (of: typeof two) =>
      routesFor(spec, given(requestedV2, stepOf(0), removed), of)[0]?.versions.map(({ instances }) =>
        instances.map(({ id }) => id),
      );
    expect(idsOf(two)).toEqual([['shop/v1/1'], ['shop/v2/2']]);
    expect(idsOf(ready)).toEqual([['shop/v1/1'], ['shop/v2/1']]);
  });

  it('counts latency at every limit of the policy', () => {
    expect(routesFor(spec, given(), ready)[0]?.edgesMs).toContain(500);
  });

  it('notices a change of anything that it acts on', () => {
    const before = routesFor(spec, given(requestedV2), ready);
    expect(routesDiffer(before, routesFor(spec, given(requestedV2), ready))).toBe(false);
    expect(routesDiffer(before, routesFor(spec, given(requestedV2, stepOf(0)), ready))).toBe(true);
  });

  it('writes down in short what it intends', () => {
    expect(trafficLines(routesFor(spec, given(requestedV2, stepOf(1)), ready))).toEqual([
      line({ canary: 'v2', weightBp: 5000, instances: { v1: 1, v2: 1 } }),
    ]);
  });
});

describe('a table that must be durable before it is applied', () => {
  const cases: [string, TrafficLine[], TrafficLine[], boolean][] = [
    ['a first table without canary', [], [line({})], false],
    ['a first table with a canary', [], [line({ canary: 'v2', weightBp: 100 })], true],
    ['more weight', [line({ canary: 'v2', weightBp: 1000 })], [line({ canary: 'v2', weightBp: 2500 })], true],
    ['less weight', [line({ canary: 'v2', weightBp: 2500 })], [line({ canary: 'v2', weightBp: 0 })], false],
    [
      'another canary at the same weight',
      [line({ canary: 'v2', weightBp: 1000 })],
      [line({ canary: 'v3', weightBp: 1000 })],
      true,
    ],
    ['the canary becomes stable', [line({ canary: 'v2', weightBp: 10_000 })], [line({ stable: 'v2' })], false],
    ['back to the stable before', [line({ stable: 'v2' })], [line({ stable: 'v1' })], false],
    ['only instances change', [line({ instances: { v1: 1 } })], [line({ instances: { v1: 2 } })], false],
  ];
  it.each(cases)('%s', (_name, before, after, raises) => {
    expect(raisesAny(before, after)).toBe(raises);
  });
});

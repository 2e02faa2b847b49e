import { describe, expect, it } from 'vitest';
import type { DataPlaneState, EffectiveRoute } from '../traffic/dataplane.ts';
import { decidePromote, decideRequest, decideRollback } from './decide.ts';
import type { HeldLine, LossSign, ReleaseEvent } from './events.ts';
import { evolve } from './evolve.ts';
import { decideContinue, decideHold, type Seen } from './hold.ts';
import { holdReason } from './hold-reason.ts';
import { given, policy, requestedV2, service, spec, stepOf } from './release.fixture.ts';
import { routesFor } from './route.ts';
import { scriptedJudge } from './scripted-judge.fixture.ts';
import type { FleetState } from './state.ts';

const intended = (generation: number): ReleaseEvent => ({
  type: 'traffic.intended',
  data: { generation, services: [], why: 'x' },
});
const completed: ReleaseEvent = {
  type: 'release.completed',
  data: { release: 'shop-1', service: 'shop', stable: 'v2', exposure: null, judgement: null },
};
const exposureOf = (release: string): EffectiveRoute['exposure'] => ({
  ...{ release, version: 'v2', requests: 9, failures: 0 },
  ...{ firstRequestAtMs: 1, firstFailureAtMs: null, lastRequestAtMs: 2 },
});
const route = (change: Partial<EffectiveRoute> = {}): EffectiveRoute => ({
  ...{ service: 'shop', stable: 'v1', canary: null, decidedWeightBp: 0, effectiveWeightBp: 0 },
  ...{ leaseExpired: false, exposure: null, ...change },
});
const canaryAt = (decidedWeightBp: number, change: Partial<EffectiveRoute> = {}): EffectiveRoute =>
  route({ canary: 'v2', decidedWeightBp, effectiveWeightBp: decidedWeightBp, ...change });
const plane = (generation: number, services: EffectiveRoute[], term = 1): DataPlaneState => ({
  ...{ bootId: 'b', term, generation, services },
});
const seen = (dataPlane: DataPlaneState | null, elsewhere: LossSign[] = []): Seen => ({
  ...{ dataPlane, knownTerm: 1, elsewhere },
  declares: (_service, version) => ['v1', 'v2', 'v3'].includes(version),
});
const fold = (fleet: FleetState, events: ReleaseEvent[]): FleetState =>
  events.reduce((state, event) => evolve(state, event, { atMs: 7, by: 'ada' }, scriptedJudge), fleet);
const witness: LossSign = { by: 'witness w', at: 90, says: 'it has cosigned 90 records, the ledger has 60' };
const ready = {
  shop: Object.fromEntries(
    ['v1', 'v2', 'v3'].map((version) => [version, [{ id: version, host: 'h', port: 1, zone: null }]]),
  ),
};

/** At 50 % by the ledger, with routing table 4. */
const atHalf = given(requestedV2, stepOf(0), stepOf(1), intended(4));

describe('a world that is not ahead', () => {
  it.each([
    ['a data plane that has the same table', plane(4, [canaryAt(5000)])],
    ['an older table', plane(3, [canaryAt(1000)])],
    ['a data plane that was started anew', plane(0, [], 0)],
    ['the same table, its lease run out', plane(4, [canaryAt(5000, { effectiveWeightBp: 0, leaseExpired: true })])],
    ['the exposure of a release that the ledger knows', plane(4, [canaryAt(5000, { exposure: exposureOf('shop-1') })])],
  ])('%s holds nothing', (_name, dataPlane) => {
    expect(decideHold(atHalf, seen(dataPlane))).toEqual([]);
  });
});

describe('a world that is ahead of the ledger', () => {
  function heldBy(fleet: FleetState, given: Seen): { fleet: FleetState; line: HeldLine } {
    const events = decideHold(fleet, given);
    expect(events.map(({ type }) => type)).toEqual(['traffic.held']);
    const next = fold(fleet, events);
    return { fleet: next, line: next.traffic.hold!.services[0]! };
  }

  it.each([
    ['a newer table without the canary', plane(5, [route()]), { canary: null, weightBp: 0, ends: true }],
    ['a newer table with less of it', plane(6, [canaryAt(1000)]), { canary: 'v2', weightBp: 1000, ends: true }],
    ['a newer table with more of it', plane(5, [canaryAt(9000)]), { canary: 'v2', weightBp: 5000, ends: false }],
    ['another canary', plane(5, [canaryAt(5000, { canary: 'v3' })]), { canary: null, weightBp: 0, ends: true }],
    ['a table where it is stable already', plane(7, [route({ stable: 'v2' })]), { canary: 'v2', weightBp: 5000 }],
    ['a table with a later stable version', plane(7, [route({ stable: 'v3' })]), { stable: 'v3', canary: null }],
    ['a stable version that the spec has not', plane(7, [route({ stable: 'v9' })]), { stable: 'v1', canary: null }],
    ['a newer table without the service', plane(7, []), { stable: 'v1', canary: null, ends: true }],
    [
      'a later controller, the same table',
      plane(4, [canaryAt(5000)], 3),
      { canary: 'v2', weightBp: 5000, ends: false },
    ],
    [
      'a release that the ledger never had',
      plane(4, [canaryAt(5000, { exposure: exposureOf('shop-3') })]),
      { canary: 'v2', weightBp: 5000, releases: 3 },
    ],
  ])('%s', (_name, dataPlane, expected) => {
    const { line } = heldBy(atHalf, seen(dataPlane));
    expect(line).toMatchObject({ stable: 'v1', decidedBp: 5000, ...expected });
  });

  it('a witness that has seen more: what the data plane has stays, and without one the canary gets nothing', () => {
    expect(heldBy(atHalf, seen(plane(4, [canaryAt(5000)]), [witness])).line).toMatchObject({ weightBp: 5000 });
    expect(heldBy(atHalf, seen(plane(0, [], 0), [witness])).line).toMatchObject({ weightBp: 0, ends: true });
  });

  it('a witness that answers late changes no weight, and holds', () => {
    const { line, fleet } = heldBy(atHalf, seen(null, [witness]));
    expect(line).toMatchObject({ weightBp: 5000, ends: false });
    expect(holdReason(fleet)).toContain('it has cosigned 90 records, the ledger has 60');
  });

  it('is recorded once per sign, whatever comes beside it, and what is held stays', () => {
    const { fleet } = heldBy(atHalf, seen(plane(5, [route()])));
    expect(decideHold(fleet, seen(null))).toEqual([]);
    const again = heldBy(fleet, seen(null, [witness]));
    expect(again.line).toMatchObject({ canary: null, weightBp: 0, decidedBp: 5000, ends: true });
    expect(decideHold(again.fleet, seen(null, [witness]))).toEqual([]);
    expect(again.fleet.traffic.hold?.signs.map(({ by }) => by)).toEqual(['data plane generation', 'witness w']);
  });

  it('takes what the world has lowered since, where the ledger was put back into a time of holding', () => {
    const first = heldBy(atHalf, seen(plane(5, [canaryAt(1000)])));
    expect(first.line).toMatchObject({ canary: 'v2', weightBp: 1000, decidedBp: 5000 });
    const again = heldBy(first.fleet, seen(plane(9, [route()])));
    expect(again.line).toMatchObject({ canary: null, weightBp: 0, decidedBp: 5000, ends: true });
    expect(routesFor(spec, again.fleet, ready)[0]).toMatchObject({ stable: 'v1', canary: null });
  });

  it('routes by what is held, and counts on from the numbers that the world knows', () => {
    const gone = plane(9, [route({ exposure: exposureOf('shop-4') })]);
    const { fleet } = heldBy(atHalf, seen(gone));
    expect(routesFor(spec, fleet, ready)[0]).toMatchObject({ stable: 'v1', canary: null });
    expect(fleet.releases['shop-1']).toMatchObject({ phase: 'progressing', weightBp: 0 });
    expect(fleet.traffic.generation).toBe(9);
    expect(fleet.services.shop?.count).toBe(4);
    const later = heldBy(atHalf, seen(plane(9, [route({ stable: 'v3' })])));
    expect(routesFor(spec, later.fleet, ready)[0]).toMatchObject({ stable: 'v3', canary: null });
  });
});

it('while it is held nothing is raised, whoever asks and however late the hold began; lowering is free', () => {
  const held = fold(atHalf, decideHold(atHalf, seen(plane(4, [canaryAt(5000)], 3))));
  const command = { service: service, policy, version: 'v3', reason: 'x', by: 'ada', supersede: true };
  expect(() => decideRequest(held, command)).toThrow(/records of this ledger are lost/);
  expect(() => decidePromote(held, 'shop-1', { reason: 'x', full: false, readyInstances: 2 })).toThrow(/are lost/);
  expect(decideRollback(held, 'shop-1', 'bad')).toHaveLength(1);
});

describe('a person who accepts the loss', () => {
  const accept = { reason: 'the disk died', acceptLoss: true };

  function afterLoss(before: FleetState, dataPlane: DataPlaneState): { fleet: FleetState; types: string[] } {
    const held = fold(before, decideHold(before, seen(dataPlane)));
    const events = decideContinue(held, accept);
    return { fleet: fold(held, events), types: events.map(({ type }) => type) };
  }

  it('raises nothing: what the ledger had higher is rolled back', () => {
    const { fleet, types } = afterLoss(atHalf, plane(5, [route()]));
    expect(types).toEqual(['release.rollback.decided', 'traffic.continued']);
    expect(fleet.releases['shop-1']).toMatchObject({ phase: 'rolled-back', weightBp: 0 });
    expect(fleet.traffic.hold).toBeNull();
    expect(routesFor(spec, fleet, ready)[0]).toMatchObject({ stable: 'v1', canary: null });
  });

  it('lets a release go on that the world has no lower', () => {
    const { fleet, types } = afterLoss(atHalf, plane(4, [canaryAt(5000)], 2));
    expect(types).toEqual(['traffic.continued']);
    expect(fleet.releases['shop-1']).toMatchObject({ phase: 'progressing', weightBp: 5000 });
  });

  it('undoes a completed release that the world had rolled back', () => {
    const before = given(requestedV2, stepOf(0), completed, intended(4));
    const { fleet, types } = afterLoss(before, plane(5, [route()]));
    expect(types).toEqual(['release.rollback.decided', 'traffic.continued']);
    expect(fleet.services.shop?.stable).toBe('v1');
    expect(fleet.releases['shop-1']?.phase).toBe('rolled-back');
  });

  it('keeps a stable version that a lost release had made so', () => {
    const { fleet } = afterLoss(
      given(intended(1)),
      plane(9, [route({ stable: 'v3', exposure: exposureOf('shop-2') })]),
    );
    expect(fleet.services.shop).toMatchObject({ stable: 'v3', stableSince: null, count: 2 });
  });

  it.each([
    ['has begun', route({ exposure: exposureOf('shop-1') }), 'cancelled'],
    ['has not begun', route(), 'requested'],
  ])('a requested release that the world %s is then %#: %s', (_name, line, phase) => {
    const { fleet } = afterLoss(given(requestedV2, intended(2)), plane(3, [line]));
    expect(fleet.releases['shop-1']?.phase).toBe(phase);
  });

  it('is asked once about the same loss', () => {
    const held = fold(atHalf, decideHold(atHalf, seen(plane(4, [canaryAt(5000)]), [witness])));
    const fleet = fold(held, decideContinue(held, accept));
    expect(decideHold(fleet, seen(plane(4, [canaryAt(5000)]), [witness]))).toEqual([]);
    expect(decideHold(fleet, seen(null, [{ ...witness, at: 95 }]))).toHaveLength(1);
  });

  it('must say so, give a reason, and have something to accept', () => {
    const held = fold(atHalf, decideHold(atHalf, seen(plane(5, [route()]))));
    expect(() => decideContinue(held, { ...accept, acceptLoss: false })).toThrow(/stays as it is/);
    expect(() => decideContinue(held, { ...accept, reason: ' ' })).toThrow(/reason is blank/);
    expect(() => decideContinue(atHalf, accept)).toThrow(/Nothing is held/);
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { seededRandom } from '../lib/seeded-random.ts';
import type { ScopeSpec } from '../spec/chaos-model.ts';
import { experiment } from './chaos.fixture.ts';
import { type Candidate, planRun } from './plan.ts';

const limits = { instancesShare: 0.5, requestsShare: 0.5, minHealthy: 1 };

function candidate(version: string, n: number, more: Partial<Candidate> = {}): Candidate {
  return { id: `b/${version}/${n}`, service: 'b', version, zone: null, ready: true, ours: true, ...more };
}

function plan(
  candidates: Candidate[],
  scope: Partial<ScopeSpec>,
  trafficShare: Record<string, number>,
  kind: 'delay' | 'kill',
) {
  return planRun({
    experiment: {
      ...experiment,
      fault: kind === 'kill' ? { kind } : { kind, delayMs: 10 },
      scope: { ...experiment.scope, instances: null, ...scope },
    },
    ...{ candidates, trafficShare, limits, seed: 1, random: seededRandom(1) },
  });
}

const three = [1, 2, 3].map((n) => candidate('v1', n));

test('a share of the requests of one version counts with the traffic that the version gets', () => {
  const both = [...three, candidate('v2', 1)];
  const planned = plan(both, { version: 'v2', share: 0.5 }, { v1: 0.9, v2: 0.1 }, 'delay');
  expect(planned).toMatchObject({ targets: ['b/v2/1'], blast: { instancesShare: 0.25, requestsShare: 0.05 } });
});

test('instances of a version without traffic are no reserve', () => {
  const idle = [candidate('v1', 1), candidate('v2', 1), candidate('v2', 2)];
  expect(plan(idle, { instances: 1 }, { v1: 1 }, 'kill')).toMatchObject({ kind: 'blast-radius' });
});

test('an instance that Davy did not start can be slowed but not killed', () => {
  const foreign = three.map((one) => ({ ...one, ours: false }));
  expect(plan(foreign, { instances: 1 }, { v1: 1 }, 'kill')).toMatchObject({ kind: 'not-ours' });
  expect(plan(foreign, { instances: 1 }, { v1: 1 }, 'delay')).toMatchObject({ targets: [expect.any(String)] });
});

test('whatever is planned stays within the limits and is drawn from what is ready and in scope', () => {
  const anyCandidate = fc.record({
    version: fc.constantFrom('v1', 'v2'),
    ready: fc.boolean(),
    ours: fc.boolean(),
    zone: fc.constantFrom(null, 'z1'),
  });
  const anyScope = fc.record({
    version: fc.constantFrom(null, 'v1', 'v2'),
    instances: fc.option(fc.integer({ min: 1, max: 5 })),
    zone: fc.constantFrom(null, 'z1'),
    share: fc.double({ min: 0.01, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(
      fc.array(anyCandidate, { maxLength: 8 }),
      anyScope,
      fc.constantFrom('delay' as const, 'kill' as const),
      (list, scope, kind) => {
        const candidates = list.map((one, n) => candidate(one.version, n, one));
        const planned = plan(candidates, scope, { v1: 0.8, v2: 0.2 }, kind);
        if ('sentence' in planned) return;
        const chosen = candidates.filter((one) => planned.targets.includes(one.id));
        expect(chosen.length).toBe(planned.targets.length);
        expect(chosen.every((one) => one.ready && (scope.version ?? one.version) === one.version)).toBe(true);
        expect(planned.untouched.some((id) => planned.targets.includes(id))).toBe(false);
        if (kind === 'kill') {
          expect(planned.blast.instancesShare).toBeLessThanOrEqual(0.5 + 1e-9);
          expect(planned.untouched.length).toBeGreaterThanOrEqual(1);
        } else expect(planned.blast.requestsShare).toBeLessThanOrEqual(0.5 + 1e-9);
      },
    ),
  );
});

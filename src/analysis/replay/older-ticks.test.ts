import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../lib/seeded-random.ts';
import type { InstanceTick, Tick } from '../../metrics/tick.ts';
import type { Judgement } from '../judge.ts';
import { Drive, EDGES, policyOf, row } from '../tick.fixture.ts';

/** Whole counts, as a ledger has them. */
function counted(
  random: () => number,
  instance: string,
  scale: number,
  slower: number,
  errorShare: number,
): InstanceTick {
  const requests = Math.floor(random() * scale);
  const { over } = row(instance, { requests, errors: 0, slower });
  return { instance, requests, errors: Math.floor(requests * errorShare * 2 * random()), over: over.map(Math.floor) };
}

/** A release as it was recorded before ticks told of requests in progress. */
function* recorded(seed: number, errorShare: number, slower: number): Generator<Tick> {
  const random = seededRandom(seed);
  for (let t = 1; t <= 120; t++) {
    const some = (version: string, count: number, factor: number, share: number): InstanceTick[] =>
      Array.from({ length: count }, (_, i) =>
        counted(random, `${version}/${i}`, version === 'v1' ? 180 : 20, factor, share),
      );
    yield {
      t,
      dtMs: 1000,
      edges: EDGES,
      versions: { v1: some('v1', 3, 1, 0.002), v2: some('v2', 3, slower, errorShare) },
    };
  }
}

function judged(ticks: Iterable<Tick>): Judgement {
  const drive = new Drive(policyOf({ instant: null }));
  for (const tick of ticks) drive.look(tick);
  return drive.last!;
}

describe('ticks of older ledgers', () => {
  // The figures are those of the judge that recorded such ticks; `davy replay` allows a relative difference of 1e-9.
  it.each([
    ['as good as stable', 1, 0.002, 1, 36.27123138709066],
    ['that fails', 2, 0.03, 1, 5.282720391962529],
    ['that is slow', 3, 0.002, 2.5, 2871115.1936063445],
  ] as const)('of a canary %s give the evidence that was recorded', (_, seed, errorShare, slower, total) => {
    const found = judged(recorded(seed, errorShare, slower));
    expect(found.evidence.total / total).toBeCloseTo(1, 9);
  });

  it('mean the same as ticks that say in full that nothing is in progress', () => {
    const inFull = (tick: Tick): Tick => {
      const rows = (list: InstanceTick[]): InstanceTick[] =>
        list.map((one) => ({
          ...{ ...one, started: one.requests, waiting: EDGES.map(() => 0) },
          ...{ unanswered: 0, unserved: 0, overdue: 0 },
        }));
      return { ...tick, versions: { v1: rows(tick.versions.v1!), v2: rows(tick.versions.v2!) } };
    };
    const ticks = [...recorded(4, 0.01, 1.5)];
    expect(judged(ticks.map(inFull))).toEqual(judged(ticks));
  });
});

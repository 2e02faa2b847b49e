import { describe, expect, it } from 'vitest';
import type { DataPlaneState, DepartedVersion } from '../traffic/dataplane.ts';
import { decideDrained, departureOf, lastEnded } from './drain.ts';
import type { ReleaseEvent } from './events.ts';
import { explainRelease } from './explain.ts';
import { given, requestedV2, stepOf } from './release.fixture.ts';
import type { ReleaseState } from './state.ts';
import { releaseView } from './view.ts';

const about = (type: ReleaseEvent['type'], rest: object): ReleaseEvent =>
  ({ type, data: { release: 'shop-1', ...rest } }) as ReleaseEvent;
const rolledBack = about('release.rollback.decided', { cause: 'operator', reason: 'no', judgement: null });
const completed = about('release.completed', { service: 'shop', stable: 'v2', exposure: null, judgement: null });
const zero = (open?: number) =>
  about('release.rolledback', { exposure: null, secondsToZero: null, ...(open === undefined ? {} : { open }) });

const departed = (more: Partial<DepartedVersion> = {}): DepartedVersion => ({
  ...{ version: 'v2', sinceMs: 1_000, emptyAtMs: 31_000, open: 0, ended: 3, cut: 17, unseen: 0, cutInMs: 0 },
  ...more,
});

function observed(one: Partial<DepartedVersion> | null, more: object = {}): DataPlaneState {
  const list = one === null ? {} : { departed: [departed(one)] };
  const route = { service: 'shop', stable: 'v1', canary: null, decidedWeightBp: 0, effectiveWeightBp: 0 };
  const services = [{ ...route, leaseExpired: false, exposure: null, ...list, ...more }];
  return { bootId: 'b', term: 1, generation: 1, services };
}

function decide(events: ReleaseEvent[], one: Partial<DepartedVersion> | null): ReleaseEvent[] {
  return lastEnded(given(requestedV2, ...events)).flatMap((release) =>
    decideDrained(release, departureOf(release, observed(one).services[0])),
  );
}

describe('what outlived the traffic of a version', () => {
  const drained = { release: 'shop-1', version: 'v2', ended: 3, cut: 17, unseen: 0, seconds: 30 };

  it.each<[string, ReleaseEvent[], Partial<DepartedVersion> | null, object[]]>([
    ['a rollback, when the last of it has ended', [stepOf(0), rolledBack], {}, [drained]],
    ['a cancelled release', [stepOf(0), about('release.cancelled', { reason: 'x' })], {}, [drained]],
    ['a completed release: the version before', [stepOf(0), completed], { version: 'v1' }, [{ ...drained, version: 'v1' }]],
    ['something is open yet', [stepOf(0), rolledBack], { open: 1, emptyAtMs: null }, []],
    ['nothing was open', [stepOf(0), rolledBack, zero(0)], { ended: 0, cut: 0 }, []],
    ['another version has departed', [stepOf(0), rolledBack], { version: 'v3' }, []],
    ['a release that goes on', [stepOf(0)], {}, []],
    ['it is recorded already', [stepOf(0), rolledBack, about('release.drained', drained)], {}, []],
    ['some went with a gateway that was replaced', [stepOf(0), rolledBack], { unseen: 2 }, [{ ...drained, unseen: 2, seconds: null }]],
    ['the gateway died with all of it', [stepOf(0), rolledBack, zero(5)], null, [{ ...drained, ended: 0, cut: 0, unseen: 5, seconds: null }]],
    ['a data plane that cannot tell', [stepOf(0), rolledBack, zero()], null, []],
  ])('%s', (_, events, one, expected) => {
    expect(decide(events, one)).toEqual(expected.map((data) => ({ type: 'release.drained', data })));
  }); // biome-ignore format: a table

  const factsOf = (events: ReleaseEvent[], state: DataPlaneState) =>
    new Map(explainRelease(releaseView(given(requestedV2, ...events).releases['shop-1'] as ReleaseState, state)).facts);

  it('is told while it is open, and afterwards from the record alone', () => {
    const open = observed({ open: 17, ended: 3, cut: 0, emptyAtMs: null, cutInMs: 12_400 });
    expect(factsOf([stepOf(0), rolledBack], open).get('left on v2')).toBe(
      '17 still open, cut in 12s, 3 ended by themselves, 0 were cut',
    );
    const record = about('release.drained', { version: 'v2', ended: 3, cut: 17, unseen: 0, seconds: 30 });
    expect(factsOf([stepOf(0), rolledBack, record], observed(null)).get('left on v2')).toBe(
      '3 ended by themselves, 17 were cut; the last after 30.0 s',
    );
    expect(factsOf([stepOf(0), rolledBack], observed(null)).has('left on v2')).toBe(false);
  });

  it('is preceded, while the release goes on, by what the canary has not answered yet', () => {
    const inFlight = { canary: 'v2', canaryInFlight: { requests: 25, unanswered: 23 } };
    expect(factsOf([stepOf(0)], observed(null, inFlight)).get('canary')).toBe(
      '0 requests, 0 failed, 23 not answered yet',
    );
  });
});

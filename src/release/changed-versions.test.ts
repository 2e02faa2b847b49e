import { describe, expect, it } from 'vitest';
import type { VersionSpec } from '../spec/model.ts';
import { decideChangedVersions, versionDigest } from './changed-versions.ts';
import type { ReleaseEvent } from './events.ts';
import { given, requestedV2, spec, stepOf } from './release.fixture.ts';

const v2 = spec.services.shop!.versions.v2!;
const { data } = requestedV2 as Extract<ReleaseEvent, { type: 'release.requested' }>;
const requested: ReleaseEvent = { type: 'release.requested', data: { ...data, digest: versionDigest(v2) } };

/** The spec with other versions of the shop. */
function withVersions(versions: Record<string, VersionSpec>) {
  return { ...spec, services: { shop: { ...spec.services.shop!, versions } } };
}

describe('a version that is not what was released under its name', () => {
  it('leaves a release alone whose version is unchanged, however many instances it has', () => {
    const more = withVersions({ ...spec.services.shop!.versions, v2: { ...v2, replicas: 7 } });
    expect(decideChangedVersions(given(requested, stepOf(1)), spec)).toEqual([]);
    expect(decideChangedVersions(given(requested, stepOf(1)), more)).toEqual([]);
  });

  it.each([
    ['program', { argv: ['node', 'other.mjs'] }],
    ['environment', { env: { FLAG: 'on' } }],
    ['endpoints', { endpoints: ['http://127.0.0.1:9999'] }],
  ])('is released from 0 again when its %s changed', (_what, change) => {
    const changed = withVersions({ ...spec.services.shop!.versions, v2: { ...v2, ...change } });
    const before = given(requested, stepOf(0), stepOf(1));
    const events = decideChangedVersions(before, changed);
    expect(events.map(({ type }) => type)).toEqual(['release.cancelled', 'release.requested']);
    const after = given(requested, stepOf(0), stepOf(1), ...events);
    expect(after.releases['shop-1']).toMatchObject({ phase: 'cancelled', weightBp: 0 });
    expect(after.releases['shop-2']).toMatchObject({ version: 'v2', phase: 'requested', step: -1, weightBp: 0 });
    expect(decideChangedVersions(after, changed)).toEqual([]);
  });

  it('is rolled back, with that reason, when the spec no longer declares it', () => {
    const { v2: _gone, ...rest } = spec.services.shop!.versions;
    const [event] = decideChangedVersions(given(requested, stepOf(1)), withVersions(rest));
    expect(event).toMatchObject({
      type: 'release.rollback.decided',
      data: { cause: 'undeclared', reason: 'the spec no longer declares shop v2' },
    });
    expect(decideChangedVersions(given(requested), withVersions(rest))).toMatchObject([{ type: 'release.cancelled' }]);
  });

  it('says nothing of releases that ended, and of records that do not tell what ran', () => {
    const changed = withVersions({ ...spec.services.shop!.versions, v2: { ...v2, argv: ['other'] } });
    const ended: ReleaseEvent = { type: 'release.cancelled', data: { release: 'shop-1', reason: 'enough' } };
    expect(decideChangedVersions(given(requested, ended), changed)).toEqual([]);
    expect(decideChangedVersions(given(requestedV2), changed)).toEqual([]);
  });

  it('does not mind the order of the environment', () => {
    const one = versionDigest({ ...v2, env: { A: '1', B: '2' } });
    expect(versionDigest({ ...v2, env: { B: '2', A: '1' } })).toBe(one);
  });
});

import { createHash } from 'node:crypto';
import { METHOD } from '../analysis/judge.ts';
import { own } from '../lib/own.ts';
import type { ServiceSpec, Spec, VersionSpec } from '../spec/model.ts';
import type { ReleaseEvent } from './events.ts';
import { type FleetState, isActive, type ReleaseState } from './state.ts';

/** SHA-256 (hex) of what runs under a version's name: its program, environment and endpoints; not how many of it. */
export function versionDigest({ argv, env, endpoints }: VersionSpec): string {
  const sorted = Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([argv, sorted, endpoints]))
    .digest('hex');
}

/**
 * Releases whose version is not what it was when they were requested. Passed steps are proof for a program, not for a name: a
 * version that runs something else is released from 0 again, one that the spec no longer declares is taken back.
 */
export function decideChangedVersions(fleet: FleetState, spec: Spec): ReleaseEvent[] {
  return Object.values(fleet.releases)
    .filter(isActive)
    .flatMap((release): ReleaseEvent[] => {
      const service = own(spec.services, release.service);
      const version = service && own(service.versions, release.version);
      if (!service || !version) return takenBack(release);
      const digest = versionDigest(version);
      if (release.digest === null || release.digest === digest) return [];
      return releasedAnew(fleet, spec, service, release, digest);
    });
}

function takenBack(release: ReleaseState): ReleaseEvent[] {
  const reason = `the spec no longer declares ${release.service} ${release.version}`;
  if (release.phase === 'requested') return [{ type: 'release.cancelled', data: { release: release.id, reason } }];
  const data = { release: release.id, cause: 'undeclared' as const, reason, judgement: release.judgement };
  return [{ type: 'release.rollback.decided', data }];
}

function releasedAnew(
  fleet: FleetState,
  spec: Spec,
  service: ServiceSpec,
  release: ReleaseState,
  digest: string,
): ReleaseEvent[] {
  const state = own(fleet.services, service.name);
  const policy = own(spec.policies, service.policy);
  if (!state || !policy) return [];
  const next = `${service.name}-${state.count + 1}`;
  const changed = `${release.version} runs something else than when ${release.id} was requested`;
  return [
    { type: 'release.cancelled', data: { release: release.id, reason: `${changed}; ${next} begins at 0` } },
    {
      type: 'release.requested',
      data: {
        ...{ release: next, service: service.name, version: release.version, from: state.stable, policy, digest },
        ...{ method: METHOD, startWithinMs: service.health.startWithinMs, reason: `${changed}: ${release.reason}` },
      },
    },
  ];
}

import type { DepartedVersion, EffectiveRoute } from '../traffic/dataplane.ts';
import type { ReleaseEvent } from './events.ts';
import type { FleetState, ReleaseState } from './state.ts';

/** What outlived a version's traffic (requests, streams, tunnels), and what became of it. */
export interface Drain {
  version: string;
  /** Ended by themselves; were cut when the time to finish was over. */
  ended: number;
  cut: number;
  /** Went with a gateway that was replaced or died, or went on since the version got traffic again: nobody saw their end. */
  unseen: number;
  /** From the last moment with traffic to the last end; null when it was not seen. */
  seconds: number | null;
}

/** The version that gets no more traffic when the release has ended: the canary, or the one that it has replaced. */
function departingVersion(release: Pick<ReleaseState, 'phase' | 'version' | 'from'>): string | null {
  if (release.phase === 'completed') return release.from;
  return release.phase === 'rolled-back' || release.phase === 'cancelled' ? release.version : null;
}

/** How the data plane says that the departure of the release's version stands; null when it says nothing of it. */
export function departureOf(release: ReleaseState, route: EffectiveRoute | undefined): DepartedVersion | null {
  const version = departingVersion(release);
  return route?.departed?.find((one) => one.version === version) ?? null;
}

/** The release of each service that ended last: what departs is of its doing. */
export function lastEnded(fleet: FleetState): ReleaseState[] {
  const byService = new Map<string, ReleaseState>();
  for (const release of Object.values(fleet.releases)) {
    if (departingVersion(release) !== null) byService.set(release.service, release);
  }
  return [...byService.values()];
}

/** The last request, stream or tunnel on the version has ended, where any was left. */
export function decideDrained(release: ReleaseState, departed: DepartedVersion | null): ReleaseEvent[] {
  const version = departingVersion(release);
  if (version === null || release.drain !== null || (departed?.open ?? 0) > 0) return [];
  const drain = departed === null ? lostDrain(release, version) : drainOf(departed);
  if (drain.ended + drain.cut + drain.unseen === 0) return [];
  return [{ type: 'release.drained', data: { release: release.id, ...drain } }];
}

function drainOf({ version, ended, cut, unseen, sinceMs, emptyAtMs }: DepartedVersion): Drain {
  const seconds = emptyAtMs === null || unseen > 0 ? null : Math.max(0, emptyAtMs - sinceMs) / 1000;
  return { version, ended, cut, unseen, seconds };
}

/** The data plane no longer knows of a departure that it told of. */
function lostDrain({ openAtZero }: ReleaseState, version: string): Drain {
  return { version, ended: 0, cut: 0, unseen: openAtZero ?? 0, seconds: null };
}

import type { DepartedVersion, EffectiveRoute } from '../../traffic/dataplane.ts';

type Progress = Pick<EffectiveRoute, 'canaryInFlight' | 'departed'>;

/** What is in progress in two processes of one gateway. */
export function mergeProgress(left: Progress, right: Progress): Progress {
  const [own, other] = [left.canaryInFlight, right.canaryInFlight];
  const departed = mergeDeparted([...(left.departed ?? []), ...(right.departed ?? [])]);
  return {
    ...(own === undefined || other === undefined
      ? {}
      : {
          canaryInFlight: {
            requests: own.requests + other.requests,
            unanswered: own.unanswered + other.unanswered,
          },
        }),
    ...(departed.length === 0 ? {} : { departed }),
  };
}

/** Adds up what several processes say of one version; it is empty when it is empty everywhere. */
function mergeDeparted(all: readonly DepartedVersion[]): DepartedVersion[] {
  const byVersion = new Map<string, DepartedVersion>();
  for (const one of all) {
    const sum = byVersion.get(one.version);
    if (sum === undefined) {
      byVersion.set(one.version, { ...one });
      continue;
    }
    sum.sinceMs = Math.min(sum.sinceMs, one.sinceMs);
    sum.emptyAtMs = sum.emptyAtMs === null || one.emptyAtMs === null ? null : Math.max(sum.emptyAtMs, one.emptyAtMs);
    for (const count of ['open', 'ended', 'cut', 'unseen'] as const) sum[count] += one[count];
    sum.cutInMs = Math.max(sum.cutInMs, one.cutInMs);
  }
  return [...byVersion.values()];
}

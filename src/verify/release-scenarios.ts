import { wilson95 } from '../analysis/proportion.ts';
import { formatShare, formatWeightBp } from '../lib/units.ts';
import type { ReleaseDoc } from '../server/schemas.ts';
import { type Finding, finding, inconclusive, noVersion, type Scenario, type VerifyContext } from './scenario.ts';
import { answeringVersion, awaitRelease, endRelease, readRelease, requestRelease, underLoad } from './traffic.ts';

const headerTries = 20;
/** Requests at one weight that are enough for an interval worth reading. */
const splitRequests = 1_000;

/** 1: the measured share of the canary fits the decided weight. */
export const split: Scenario = {
  name: 'split',
  async run(context) {
    if (context.good === null) return noVersion(context.service);
    const { id } = await requestRelease(context, context.good, 'split');
    try {
      const enough = (release: ReleaseDoc): boolean => requestsAt(release, 0) >= splitRequests || release.step > 0;
      const { value: release } = await underLoad(context, () => awaitRelease(context, id, enough, 120_000));
      return release
        ? judgeSplit(await readRelease(context, id))
        : inconclusive('too few requests arrived at the first weight');
    } finally {
      await endRelease(context, id);
    }
  },
};

function requestsAt(release: ReleaseDoc, step: number): number {
  const counts = release.counts[step];
  return counts ? counts.canaryRequests + counts.stableRequests : 0;
}

function judgeSplit(release: ReleaseDoc): Finding {
  const counts = release.counts[0];
  if (!counts) return inconclusive('nothing was counted');
  const requests = counts.canaryRequests + counts.stableRequests;
  const weight = counts.weightBp / 10_000;
  const { low, high } = wilson95(counts.canaryRequests, requests);
  const measured = { weight, observed: counts.canaryRequests / requests, low, high, requests };
  const says = `${formatShare(measured.observed, 2)} of ${requests} requests at ${formatWeightBp(counts.weightBp)}, 95 % interval ${formatShare(low, 2)} to ${formatShare(high, 2)}`;
  return finding(weight >= low && weight <= high ? [] : [`${says} does not hold the weight`], says, measured);
}

/** 2: the header reaches the canary at any weight, and nobody any more after the rollback (R09). */
export const headerRoute: Scenario = {
  name: 'header route',
  async run(context) {
    const { service, good } = context;
    const header = service.traffic.canaryHeader;
    if (good === null) return noVersion(context.service);
    if (header === null) return inconclusive(`${service.name} declares no canaryHeader`);
    const { id } = await requestRelease(context, good, 'header route');
    let during: (string | null)[];
    try {
      const started = await awaitRelease(context, id, (release) => (release.effectiveWeightBp ?? 0) > 0, 30_000);
      if (!started) return inconclusive('the release did not start');
      during = await askMany(context, { [header]: 'true' });
    } finally {
      await endRelease(context, id);
    }
    const after = await askMany(context, { [header]: 'true' });
    if ([...during, ...after].includes(null)) return inconclusive('the answers do not say which version gave them');
    const missed = during.filter((version) => version !== good).length;
    const leaked = after.filter((version) => version === good).length;
    const problems = [
      ...(missed > 0 ? [`${missed} of ${headerTries} requests with ${header} missed the canary`] : []),
      ...(leaked > 0 ? [`${leaked} requests reached it after the rollback`] : []),
    ];
    return finding(problems, `${headerTries} of ${headerTries} reached ${good}, none after the rollback`, {
      missed,
      leaked,
    });
  },
};

async function askMany({ service }: VerifyContext, headers: Record<string, string>): Promise<(string | null)[]> {
  const versions: (string | null)[] = [];
  for (let i = 0; i < headerTries; i++) versions.push(await answeringVersion(service.listenPort, headers));
  return versions;
}

/** 3: a version that fails is rolled back by the judge, and nothing reaches it afterwards. */
export const badCanary: Scenario = {
  name: 'bad canary rolls back',
  async run(context) {
    const { bad } = context;
    if (bad === null) return inconclusive('no version is known to be bad; name one with --bad');
    const { id } = await requestRelease(context, bad, 'bad canary');
    try {
      const ended = (release: ReleaseDoc): boolean =>
        release.endedAtMs !== null && (release.zeroConfirmed || release.phase === 'completed');
      const { value: release } = await underLoad(context, () => awaitRelease(context, id, ended, 180_000));
      if (!release) return inconclusive('the release had no end within three minutes');
      const { rollbackCause, secondsToZero, canaryRequests, failedRequests } = release;
      const measured = {
        cause: rollbackCause ?? 'none',
        secondsToZero: secondsToZero ?? 'unknown',
        canaryRequests,
        failedRequests,
      };
      const byJudge = rollbackCause === 'statistical' || rollbackCause === 'instant' || rollbackCause === 'sustained';
      const problems =
        release.phase === 'rolled-back' && byJudge
          ? []
          : [`${bad} ended as ${release.phase} (${rollbackCause ?? 'no cause'})`];
      return finding(
        problems,
        `${bad} was rolled back (${rollbackCause}) after ${canaryRequests} canary requests`,
        measured,
      );
    } finally {
      await endRelease(context, id);
    }
  },
};

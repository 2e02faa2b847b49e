import { sleep } from '../lib/clock.ts';
import { own } from '../lib/own.ts';
import { formatDurationMs } from '../lib/units.ts';
import { MAX_SILENCE_MS } from '../metrics/silence.ts';
import type { TrafficDoc } from '../server/routes/traffic.ts';
import type { ReleaseDoc } from '../server/schemas.ts';
import type { PolicySpec } from '../spec/model.ts';
import { type Finding, finding, inconclusive, noVersion, type Scenario, type VerifyContext } from './scenario.ts';
import { awaitRelease, endRelease, readRelease, requestRelease, underLoad } from './traffic.ts';

/** Time over which requests are counted at the end of the silence. */
const countedMs = 1_500;
const marginMs = 250;
const shortestMs = 6_000;
/** How much longer the silence is than the time after which the release would have gone on. */
const beyondHoldMs = 3_000;
const afterwardsMs = 30_000;

type Seen = Pick<ReleaseDoc, 'step' | 'weightBp' | 'heldMs' | 'phase' | 'held' | 'rollbackCause' | 'endedAtMs'>;

/** What was seen of a release around a silence. */
export interface SilenceSeen {
  silenceMs: number;
  /** Time that the step still had to be watched when the silence began. */
  neededMs: number;
  /** Requests per second that the gateway served of the service at the end of the silence. */
  perSecond: number;
  /** Two looks into the silence (the one that was on its way is over), and just before its end. */
  atStart: Seen;
  atEnd: Seen;
  /** When decisions were made again; null when they were not in time. */
  after: Seen | null;
}

/** 4: while the metrics stay away and requests flow, no weight rises; afterwards the release goes on, or ends as its policy says. */
export const silence: Scenario = {
  name: 'silent metrics hold',
  async run(context) {
    const { good, service, spec } = context;
    const policy = own(spec.policies, service.policy);
    if (good === null || policy === undefined) return noVersion(service);
    if (4 * policy.lookMs > MAX_SILENCE_MS) {
      return inconclusive(
        `looks are ${formatDurationMs(policy.lookMs)} apart, a silence may last ${MAX_SILENCE_MS / 1000} s`,
      );
    }
    const { id } = await requestRelease(context, good, 'silence');
    try {
      const { value: seen } = await underLoad(context, () => silenceUnderLoad(context, id, policy));
      return seen === null ? inconclusive('nothing was counted before the silence') : judgeSilence(seen, policy.noData);
    } finally {
      await endRelease(context, id);
    }
  },
};

async function silenceUnderLoad(context: VerifyContext, id: string, policy: PolicySpec): Promise<SilenceSeen | null> {
  const { api, clock } = context;
  const before = await awaitRelease(context, id, (release) => release.heldMs > 0, 30_000);
  if (!before) return null;
  const neededMs = (before.steps[before.step]?.holdMs ?? 0) - before.heldMs;
  const wantedMs = Math.max(shortestMs, 4 * policy.lookMs, Math.ceil(neededMs) + beyondHoldMs);
  const silenceMs = Math.min(MAX_SILENCE_MS, wantedMs);
  const endMs = clock.monoMs() + silenceMs;
  await api.post('/api/v1/metrics/silence', { forMs: silenceMs, reason: 'verification: silent metrics' });
  await sleep(clock, 2 * policy.lookMs);
  const atStart = await readRelease(context, id);
  await sleep(clock, Math.max(0, endMs - clock.monoMs() - countedMs - 2 * marginMs));
  const perSecond = await servedPerSecond(context);
  const atEnd = await readRelease(context, id);
  const after = await awaitRelease(context, id, (now) => isDecidedAgain(now, atEnd), afterwardsMs);
  return { silenceMs, neededMs, perSecond, atStart, atEnd, after };
}

function isDecidedAgain(now: Seen, then: Seen): boolean {
  return now.endedAtMs !== null || now.step !== then.step || (now.held === null && now.heldMs > then.heldMs);
}

/** From the gateway's counters as the page reads them: they are not silenced. */
async function servedPerSecond({ api, service, clock }: VerifyContext): Promise<number> {
  await api.get<TrafficDoc>('/api/v1/traffic');
  await sleep(clock, countedMs);
  const { services } = await api.get<TrafficDoc>('/api/v1/traffic');
  return services.find((one) => one.service === service.name)?.perSecond ?? 0;
}

const isHeld = (release: Seen): boolean => release.held?.verdict === 'hold';

/** Pure: what the release did, held against what its policy says about missing measurements. */
export function judgeSilence(seen: SilenceSeen, noData: PolicySpec['noData']): Finding {
  const { silenceMs, neededMs, perSecond, atStart, atEnd, after } = seen;
  const measured = {
    silentSeconds: silenceMs / 1000,
    neededSeconds: Number((neededMs / 1000).toFixed(1)),
    perSecond: Math.round(perSecond),
    during: atStart.held?.verdict ?? atStart.phase,
    after: after === null ? 'no decision' : after.phase,
  };
  if (perSecond === 0) return { ...inconclusive('no request flowed during the silence'), measured };
  const byNoData = after?.rollbackCause === 'no-data';
  const isDue = noData.then === 'rollback' && silenceMs >= noData.holdMs;
  const problems = [
    ...(atEnd.weightBp > atStart.weightBp || atEnd.phase === 'completed' ? ['the weight rose without metrics'] : []),
    ...(isHeld(atStart) && (atEnd.endedAtMs !== null || isHeld(atEnd)) ? [] : ['the release was not held']),
    ...(after === null ? [`nothing was decided within ${afterwardsMs / 1000} s after the silence`] : []),
    ...(byNoData && !isDue ? ['it was rolled back for want of metrics before its policy says so'] : []),
    ...(after && isDue && !byNoData ? ['it went on although its policy says to roll back'] : []),
    ...(after?.phase === 'rolled-back' && !byNoData
      ? [`it was rolled back (${after.rollbackCause ?? 'no cause'})`]
      : []),
  ];
  const outcome = byNoData ? 'was rolled back as its policy says' : 'went on afterwards';
  const flow = `${measured.silentSeconds} s without metrics at ${measured.perSecond} requests/s`;
  return finding(problems, `${flow}: no weight rose, and the release ${outcome}`, measured);
}

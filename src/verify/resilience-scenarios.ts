import { request } from 'undici';
import { type Clock, sleep } from '../lib/clock.ts';
import { own } from '../lib/own.ts';
import { formatShare } from '../lib/units.ts';
import type { LoadResult } from '../load/result.ts';
import { startLoad, steadyPlan } from '../load/start-load.ts';
import type { ChaosListDoc, ChaosRunDoc } from '../server/routes/chaos.ts';
import type { RateLimitSpec, ServiceSpec } from '../spec/model.ts';
import { type Finding, finding, inconclusive, type Scenario, type VerifyContext } from './scenario.ts';
import { underLoad } from './traffic.ts';

const pollMs = 500;
const limiterMs = 5_000;
const limiterTries = 3;
const limiterMaxPerSecond = 10_000;
/** A generator that is later than this offers bursts instead of a rate. */
const limiterLagMs = 100;

/** 5: the limiter admits its rate, and tells clients with the fields of the RateLimit draft. */
export const limiter: Scenario = {
  name: 'limiter and headers',
  async run({ spec, clock }) {
    const service = Object.values(spec.services).find((one) => one.traffic.rateLimit !== null);
    const limit = service?.traffic.rateLimit;
    if (!service || !limit) return inconclusive('no service declares a rateLimit');
    if (2 * limit.perSecond > limiterMaxPerSecond) {
      return inconclusive(`${limit.perSecond}/s is more than this machine should be flooded with`);
    }
    let found = await floodOnce(service, limit, clock);
    // A machine that was busy elsewhere gets another chance; a limiter that is wrong does not.
    for (let i = 1; i < limiterTries && found.verdict === 'INCONCLUSIVE'; i++)
      found = await floodOnce(service, limit, clock);
    return found;
  },
};

async function floodOnce(service: ServiceSpec, limit: RateLimitSpec, clock: Clock): Promise<Finding> {
  const url = `http://127.0.0.1:${service.listenPort}/`;
  // Full again after a quiet time, so that the burst is known.
  await sleep(clock, Math.min(10_000, 1_000 + (1000 * limit.burst) / limit.perSecond));
  const ratePerSecond = 2 * limit.perSecond;
  const flood = startLoad(
    steadyPlan({ url, ratePerSecond, durationMs: limiterMs, arrivals: 'uniform', maxConnections: 512 }),
  );
  await sleep(clock, limiterMs / 2);
  const refused = await askUntilRefused(url);
  return judgeLimiter(await flood.done, limit, refused);
}

/** The fields of the first 429, as it came to a client. */
async function askUntilRefused(url: string): Promise<Record<string, string> | null> {
  for (let i = 0; i < 50; i++) {
    const answer = await request(url);
    await answer.body.dump();
    if (answer.statusCode !== 429) continue;
    return Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
  }
  return null;
}

function judgeLimiter(result: LoadResult, limit: RateLimitSpec, refused: Record<string, string> | null): Finding {
  const limited = result.counts.statuses['429'] ?? 0;
  const admitted = result.counts.requests - limited;
  const expected = limit.perSecond * (result.durationMs / 1000) + limit.burst;
  const measured = { admitted, limited, expected: Math.round(expected) };
  // Here it is the number that counts, not the latency: a late request is still one that the bucket had to decide on.
  const lagMs = result.lag.quantiles.p99.ms ?? 0;
  if (result.dropped > 0 || lagMs > limiterLagMs) {
    return {
      ...inconclusive(`the load was not offered evenly (lag p99 ${lagMs.toFixed(0)} ms, ${result.dropped} dropped)`),
      measured,
    };
  }
  const problems = [
    ...(limited === 0 ? ['nothing was limited at twice the rate'] : []),
    ...(Math.abs(admitted / expected - 1) > 0.03
      ? [`${admitted} requests were admitted, ${Math.round(expected)} are allowed`]
      : []),
    ...headerProblems(refused),
  ];
  return finding(
    problems,
    `${admitted} admitted of ${Math.round(expected)} allowed, ${limited} refused with RateLimit fields`,
    measured,
  );
}

/** draft-ietf-httpapi-ratelimit-headers: `RateLimit: "name";r=…;t=…`, and Retry-After no shorter than t is not required here. */
function headerProblems(headers: Record<string, string> | null): string[] {
  if (headers === null) return ['no 429 was seen by a client'];
  return [
    ...(/^"[^"]+";r=\d+;t=\d+$/.test(headers.ratelimit ?? '') ? [] : ['RateLimit is missing or malformed']),
    ...(/^"[^"]+";q=\d+;w=\d+$/.test(headers['ratelimit-policy'] ?? '')
      ? []
      : ['RateLimit-Policy is missing or malformed']),
    ...(/^\d+$/.test(headers['retry-after'] ?? '') ? [] : ['Retry-After is missing']),
    ...((headers['content-type'] ?? '').includes('application/problem+json') ? [] : ['the body is not problem+json']),
  ];
}

/** 6: refused requests are tried again within the budget, and a dead instance costs callers nothing to speak of. */
export const retryAndBreaker: Scenario = {
  name: 'retry and breaker',
  async run(context) {
    const service = Object.values(context.spec.services).find(
      (one) => one.traffic.retries !== null && readyVersions(one) > 0,
    );
    const retries = service?.traffic.retries;
    if (!service || !retries) return inconclusive('no service declares retries');
    const url = `http://127.0.0.1:${service.listenPort}/`;
    const share = 0.1;
    const aborts = await runInline(context, service, { abort: 503 }, { share: '10%' }, url);
    const failed = share ** retries.maxTries;
    const kill =
      readyVersions(service) > 1 ? await runInline(context, service, { kill: true }, { instances: 1 }, url) : null;
    const measured = {
      maxTries: retries.maxTries,
      failedWithAborts: aborts.failedShare,
      failedWithoutRetries: share,
      failedWithKill: kill?.failedShare ?? 'not tried',
      longestMs: aborts.longestMs,
    };
    const unheld = [aborts, kill].flatMap((one) => (one && one.verdict === 'ERROR' ? [one.says] : []));
    if (unheld.length > 0) return { verdict: 'ERROR', says: unheld.join('; '), measured };
    const problems = [
      ...(aborts.failedShare > failed + 0.02
        ? [`${formatShare(aborts.failedShare, 2)} failed although ${retries.maxTries} tries are allowed`]
        : []),
      ...(aborts.longestMs > service.traffic.timeoutMs + 500
        ? [`a caller waited ${Math.round(aborts.longestMs)} ms`]
        : []),
      ...(kill && kill.failedShare > 0.02
        ? [`${formatShare(kill.failedShare, 2)} failed around a killed instance`]
        : []),
    ];
    const withoutKill = kill === null ? '' : `, ${formatShare(kill.failedShare, 2)} around a kill`;
    return finding(
      problems,
      `${formatShare(aborts.failedShare, 2)} failed of the requests with 10 % aborts${withoutKill}`,
      measured,
    );
  },
};

const readyVersions = (service: ServiceSpec): number => own(service.versions, service.stable)?.replicas ?? 0;

async function runInline(
  context: VerifyContext,
  service: ServiceSpec,
  fault: Record<string, unknown>,
  scope: Record<string, unknown>,
  url: string,
): Promise<{ failedShare: number; longestMs: number; verdict: string; says: string }> {
  const load = startLoad(steadyPlan({ url, ratePerSecond: context.ratePerSecond }));
  try {
    const run = await runExperiment(context, {
      hypothesis: 'retries and the other instances hide the fault from callers',
      probes: [{ name: 'callers', gateway: service.name, errors: '5%' }],
      ...{ fault, scope: { service: service.name, ...scope }, for: '6s', steady: '2s', recover: '20s' },
    });
    const result = await load.stop();
    const failedShare = (result.counts.requests - result.counts.ok) / Math.max(1, result.counts.requests);
    const verdict = run.conclusion?.verdict ?? 'ERROR';
    return {
      failedShare,
      longestMs: result.response.maxMs ?? 0,
      verdict,
      says: run.conclusion?.reasons.join('; ') ?? 'no conclusion',
    };
  } catch (error) {
    await load.stop().catch(() => {});
    throw error;
  }
}

async function runExperiment({ api, clock }: VerifyContext, inline: Record<string, unknown>): Promise<ChaosRunDoc> {
  const started = await api.post<ChaosRunDoc>('/api/v1/chaos/runs', { inline, reason: 'verification' });
  for (;;) {
    const run = await api.get<ChaosRunDoc>(`/api/v1/chaos/runs/${started.id}`);
    if (run.conclusion !== null) return run;
    await sleep(clock, pollMs);
  }
}

/** 7: an injected delay is measured, ends, and leaves nothing behind. */
export const chaosRevert: Scenario = {
  name: 'chaos and revert',
  async run(context) {
    const { service } = context;
    const { value: run } = await underLoad(context, () =>
      runExperiment(context, {
        hypothesis: 'a tenth of the requests may be 100 ms late',
        probes: [{ name: 'callers', gateway: service.name, errors: '1%' }],
        ...{ fault: { delay: '100ms' }, scope: { service: service.name, share: '10%' } },
        ...{ for: '6s', steady: '2s', recover: '20s' },
      }),
    );
    const { running, blocked } = await context.api.get<ChaosListDoc>('/api/v1/chaos');
    const meanAddedMs = run.conclusion?.injection?.meanAddedMs ?? 0;
    const measured = { verdict: run.conclusion?.verdict ?? 'none', meanAddedMs, left: running.length };
    const problems = [
      ...(run.conclusion?.verdict === 'PASS'
        ? []
        : [`${run.id} ended as ${run.conclusion?.verdict}: ${run.conclusion?.reasons.join('; ')}`]),
      ...(running.length > 0 || blocked !== null
        ? [`left behind: ${blocked ?? running.map((one) => one.id).join(', ')}`]
        : []),
    ];
    return finding(problems, `100 ms were asked for, ${meanAddedMs.toFixed(1)} ms measured, nothing is left`, measured);
  },
};

/** 8: the controller dies under load; users notice nothing, it comes back by itself, and the ledger verifies. */
export const killAndRestart: Scenario = {
  name: 'kill and restart, ledger verifies',
  async run(context) {
    const { api, clock, killController } = context;
    if (killController === null) return inconclusive("the controller's process is not on this machine");
    const startMs = clock.monoMs();
    const { value: backAfterMs, load } = await underLoad(context, async () => {
      await killController();
      const killedMs = clock.monoMs();
      for (;;) {
        const ready = await api.get<{ ready: boolean }>('/readyz').then(
          (answer) => answer.ready,
          () => false,
        );
        if (ready) return clock.monoMs() - killedMs;
        if (clock.monoMs() - startMs > 60_000) throw new Error('it did not come back within a minute');
        await sleep(clock, pollMs);
      }
    });
    const ledger = await api.get<{ ok: boolean; size: number; root: string }>('/api/v1/evidence/verify');
    const failed = load.counts.requests - load.counts.ok;
    const measured = {
      backAfterMs: Math.round(backAfterMs),
      requests: load.counts.requests,
      failed,
      ledgerSize: ledger.size,
      root: ledger.root,
    };
    const problems = [
      ...(failed > 0 ? [`${failed} of ${load.counts.requests} requests failed`] : []),
      ...(ledger.ok ? [] : ['the ledger does not verify']),
    ];
    return finding(
      problems,
      `back after ${(backAfterMs / 1000).toFixed(1)} s, no request failed, ${ledger.size} records verify`,
      measured,
    );
  },
};

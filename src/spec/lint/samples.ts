import {
  formatCount,
  formatDurationMs,
  formatPoints,
  formatRatePerSecond,
  formatShare,
  formatWeightBp,
} from '../../lib/units.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { PolicySpec, ServiceSpec, StepSpec } from '../model.ts';
import { requestsForQuantile, requestsToProve, requestsToShow } from './evidence.ts';
import { errorFinding, type LintContext, releases, warningFinding } from './lint.ts';
import { quantileField, stepName } from './steps.ts';
import { specWarnings } from './warnings.ts';

/** Promotion needs a margin: without one it would have to prove exact equality, which no number of requests does. */
export function lintMargins({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.policies).flatMap((policy): Finding[] => {
    const root = ['policies', policy.name, 'promote'];
    const { errors, latency } = policy.promote;
    const findings = Object.entries({ errors, latency })
      .filter(([, margin]) => margin.plusShare === 0 && margin.ratio === 1)
      .map(([metric]) => {
        const sentence = `policies.${policy.name} tolerates no difference in ${metric} at all, which takes endless traffic to prove`;
        return errorFinding(specErrors['no-margin'], sentence, at([...root, metric]));
      });
    if (errors.plusShare === 0 && errors.ratio > 1) {
      const sentence = `policies.${policy.name} compares errors by ratio alone, so a service without errors can never prove anything`;
      findings.push(warningFinding(specWarnings['margin-needs-errors'], sentence, at([...root, 'errors', 'plus'])));
    }
    return findings;
  });
}

/** The share of requests beyond stable's median, p95 and p99: where promotion compares latency. */
const latencyShares = [0.5, 0.05, 0.01];

/** Each step below 100 % sees enough canary requests to prove the promotion margin while it lasts. */
export function lintPromotionSamples(context: LintContext): Finding[] {
  return forExpected(context, ({ service, policy, step, index, ratePerSecond }) => {
    // The last step may also prove its claim against what stable did before, which takes far fewer requests.
    if (index === policy.steps.length - 1) return [];
    const need = neededForPromotion(policy, step);
    const perSecond = (ratePerSecond * step.weightBp) / 10_000;
    const sees = (perSecond * step.holdMs) / 1000;
    if (!Number.isFinite(need.requests) || sees >= need.requests) return [];
    const neededMs = Math.ceil(need.requests / perSecond) * 1000;
    const late =
      neededMs <= step.holdMs + policy.inconclusive.holdMs
        ? 'it will take longer than declared'
        : 'it ends inconclusive';
    const sentence =
      `${stepName(policy, index)}: ${service.name} sends ${seen(ratePerSecond, step, sees)}, but excluding ` +
      `${need.claim} takes about ${formatCount(need.requests)} (${formatDurationMs(neededMs)}): ${late}`;
    return [
      warningFinding(
        specWarnings['sample-too-small'],
        sentence,
        context.at(['policies', policy.name, 'steps', index, 'hold']),
      ),
    ];
  });
}

function neededForPromotion(policy: PolicySpec, step: StepSpec): { requests: number; claim: string } {
  const { confidenceShare, errors, latency } = policy.promote;
  const common = { weightShare: step.weightBp / 10_000, confidenceShare };
  const forErrors = requestsToProve({ ...common, ...errors, rateShare: 0 });
  const forLatency = Math.max(
    ...latencyShares.map((rateShare) => requestsToProve({ ...common, ...latency, rateShare })),
  );
  return forErrors >= forLatency
    ? { requests: forErrors, claim: `+${formatPoints(errors.plusShare)} errors` }
    : { requests: forLatency, claim: `+${formatPoints(latency.plusShare)} slow requests` };
}

/** Each step sees enough canary requests to show that its limits are kept. */
export function lintLimitSamples(context: LintContext): Finding[] {
  return forExpected(context, ({ service, policy, step, index, ratePerSecond }) => {
    const sees = (ratePerSecond * step.weightBp * step.holdMs) / 10_000 / 1000;
    const limits = step.limits.latency.map(({ quantile, underMs }) => ({
      field: quantileField(quantile),
      says: `${quantileField(quantile)} ${formatDurationMs(underMs)}`,
      share: 1 - quantile,
    }));
    if (step.limits.errorShare !== null) {
      limits.unshift({
        field: 'errors',
        says: `${formatShare(step.limits.errorShare)} errors`,
        share: step.limits.errorShare,
      });
    }
    return limits
      .filter(({ share }) => sees < requestsToShow(share))
      .map(({ field, says, share }) => {
        const sentence =
          `${stepName(policy, index)}: ${service.name} sends ${seen(ratePerSecond, step, sees)}; ` +
          `showing that ${says} is kept takes ${formatCount(requestsToShow(share))} good ones`;
        const place = context.at(['policies', policy.name, 'steps', index, 'limits', field]);
        return warningFinding(specWarnings['limit-unprovable'], sentence, place);
      });
  });
}

/** The instant rule gets the requests that it needs, in the first step already. */
export function lintInstantSamples(context: LintContext): Finding[] {
  return forExpected(context, ({ service, policy, step, index, ratePerSecond }) => {
    if (index > 0 || !policy.instant) return [];
    const { overMs, minRequests } = policy.instant;
    const sees = (ratePerSecond * step.weightBp * overMs) / 10_000 / 1000;
    if (sees >= minRequests) return [];
    const sentence =
      `policies.${policy.name} needs ${formatCount(minRequests)} canary requests in ${formatDurationMs(overMs)} to roll back at once; ` +
      `${service.name} sends ${sees < 10 ? Number(sees.toFixed(1)) : formatCount(sees)} at ${formatWeightBp(step.weightBp)}`;
    return [
      warningFinding(
        specWarnings['instant-above-traffic'],
        sentence,
        context.at(['policies', policy.name, 'instant', 'minRequests']),
      ),
    ];
  });
}

/** An objective counts enough requests in its window to be told from a miss. */
export function lintObjectiveSamples({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.services).flatMap((service) => {
    if (!service.expect) return [];
    const { ratePerSecond } = service.expect;
    return service.objectives.flatMap((objective, index) => {
      const sees = (ratePerSecond * objective.windowMs) / 1000;
      const latency = objective.kind === 'latency';
      const needs = latency ? requestsForQuantile(objective.targetShare) : requestsToShow(1 - objective.targetShare);
      if (sees >= needs) return [];
      const sentence =
        `services.${service.name}.objectives[${index}]: ${formatShare(objective.targetShare)} takes ${formatCount(needs)} requests ` +
        `in ${formatDurationMs(objective.windowMs)} to be shown; ${formatRatePerSecond(ratePerSecond)} gives ${formatCount(sees)}`;
      const place = at(['services', service.name, 'objectives', index, latency ? 'share' : 'target']);
      return [warningFinding(specWarnings['objective-unprovable'], sentence, place)];
    });
  });
}

interface ExpectedStep {
  service: ServiceSpec;
  policy: PolicySpec;
  step: StepSpec;
  index: number;
  ratePerSecond: number;
}

/** Only services that declare what to expect can be checked against it. */
function forExpected({ spec }: LintContext, check: (expected: ExpectedStep) => Finding[]): Finding[] {
  return releases(spec).flatMap(({ service, policy }) => {
    const { expect } = service;
    if (!expect) return [];
    return policy.steps.flatMap((step, index) =>
      check({ service, policy, step, index, ratePerSecond: expect.ratePerSecond }),
    );
  });
}

function seen(ratePerSecond: number, step: StepSpec, sees: number): string {
  const rate = formatRatePerSecond(ratePerSecond);
  return `${rate} × ${formatWeightBp(step.weightBp)} × ${formatDurationMs(step.holdMs)} = ${formatCount(sees)} canary requests`;
}

import { formatDurationMs, formatShare, formatWeightBp } from '../../lib/units.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { PolicySpec, StepLimits } from '../model.ts';
import { errorFinding, type LintContext, warningFinding } from './lint.ts';
import { specWarnings } from './warnings.ts';

/** Weights rise strictly and end at 100 %, less what the policy holds back. */
export function lintWeights({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.policies).flatMap((policy): Finding[] => {
    const findings: Finding[] = [];
    let previous = 0;
    for (const [index, { weightBp }] of policy.steps.entries()) {
      if (weightBp <= previous) {
        const place = at(['policies', policy.name, 'steps', index, 'weight']);
        const sentence = `${stepName(policy, index)} goes from ${formatWeightBp(previous)} to ${formatWeightBp(weightBp)}; weights must rise${index === policy.steps.length - 1 && policy.holdBackBp > 0 ? ` and the last step leaves ${formatWeightBp(policy.holdBackBp)} to stable (holdBack)` : ''}`;
        findings.push(errorFinding(specErrors['weights-not-rising'], sentence, place));
      }
      previous = weightBp;
    }
    if (previous !== 10_000 - policy.holdBackBp) {
      const last = at(['policies', policy.name, 'steps', policy.steps.length - 1, 'weight']);
      const sentence = `policies.${policy.name} ends at ${formatWeightBp(previous)}, not at 100%`;
      findings.push(errorFinding(specErrors['last-weight'], sentence, last));
    }
    return findings;
  });
}

/** A rule that needs a time shorter than one look can never see that time. */
export function lintLook({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.policies).flatMap((policy) => {
    const root = ['policies', policy.name];
    const times: { path: (string | number)[]; ms: number }[] = policy.steps.map((step, index) => ({
      path: [...root, 'steps', index, 'hold'],
      ms: step.holdMs,
    }));
    times.push(
      { path: [...root, 'sustained'], ms: policy.sustainedMs },
      { path: [...root, 'noData', 'hold'], ms: policy.noData.holdMs },
    );
    if (policy.instant) times.push({ path: [...root, 'instant', 'over'], ms: policy.instant.overMs });
    return times
      .filter(({ ms }) => ms < policy.lookMs)
      .map(({ path, ms }) => {
        const sentence = `policies.${policy.name} looks every ${formatDurationMs(policy.lookMs)}, but ${path.slice(2).join('.')} is ${formatDurationMs(ms)}`;
        return errorFinding(specErrors['look-too-long'], sentence, at(path));
      });
  });
}

/** `sustained`, `noData` and `inconclusive` fit the steps they belong to. */
export function lintHolds({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.policies).flatMap((policy): Finding[] => {
    const findings: Finding[] = [];
    const root = ['policies', policy.name];
    for (const [index, step] of policy.steps.entries()) {
      if (!hasLimit(step.limits) || policy.sustainedMs <= step.holdMs) continue;
      const sentence = `${stepName(policy, index)} lasts ${formatDurationMs(step.holdMs)}, but a limit must be broken for ${formatDurationMs(policy.sustainedMs)}`;
      findings.push(
        warningFinding(specWarnings['sustained-too-long'], sentence, at([...root, 'steps', index, 'hold'])),
      );
    }
    const shortest = Math.min(...policy.steps.map((step) => step.holdMs));
    const { holdMs } = policy.noData;
    if (holdMs < 2 * policy.lookMs || holdMs > shortest) {
      const bound =
        holdMs > shortest ? `longer than the shortest step (${formatDurationMs(shortest)})` : `shorter than two looks`;
      const sentence = `policies.${policy.name} waits ${formatDurationMs(holdMs)} for lost measurements, ${bound}`;
      findings.push(warningFinding(specWarnings['no-data-hold'], sentence, at([...root, 'noData', 'hold'])));
    }
    if (policy.inconclusive.holdMs < 5 * policy.lookMs) {
      const sentence = `policies.${policy.name} gives an unproven step ${formatDurationMs(policy.inconclusive.holdMs)} more, less than five looks`;
      findings.push(warningFinding(specWarnings['inconclusive-hold'], sentence, at([...root, 'inconclusive', 'hold'])));
    }
    return findings;
  });
}

/** Every step has a limit, and none is looser than the one before. */
export function lintLimits({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.policies).flatMap((policy) =>
    policy.steps.flatMap((step, index): Finding[] => {
      const path = ['policies', policy.name, 'steps', index];
      if (!hasLimit(step.limits)) {
        return [
          warningFinding(specWarnings['step-without-limit'], `${stepName(policy, index)} has no limits`, at(path)),
        ];
      }
      const before = policy.steps[index - 1]?.limits;
      const looser = before ? loosened(before, step.limits) : null;
      if (looser === null) return [];
      const sentence = `${stepName(policy, index)} allows ${looser.now}, the step before only ${looser.before}`;
      return [warningFinding(specWarnings['limit-loosens'], sentence, at([...path, 'limits', looser.field]))];
    }),
  );
}

/** The instant rule is for gross failure: above every limit. */
export function lintInstant({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.policies).flatMap((policy) => {
    const widest = Math.max(0, ...policy.steps.map((step) => step.limits.errorShare ?? 0));
    if (!policy.instant || policy.instant.errorShare > widest) return [];
    const sentence = `policies.${policy.name} rolls back at once at ${formatShare(policy.instant.errorShare)} errors, but a limit allows ${formatShare(widest)}`;
    return [
      warningFinding(specWarnings['instant-below-limit'], sentence, at(['policies', policy.name, 'instant', 'errors'])),
    ];
  });
}

export function stepName(policy: PolicySpec, index: number): string {
  return `policies.${policy.name}.steps[${index}]`;
}

function hasLimit(limits: StepLimits): boolean {
  return limits.errorShare !== null || limits.latency.length > 0;
}

function loosened(before: StepLimits, now: StepLimits): { field: string; before: string; now: string } | null {
  if (before.errorShare !== null && now.errorShare !== null && now.errorShare > before.errorShare) {
    return { field: 'errors', before: formatShare(before.errorShare), now: `${formatShare(now.errorShare)} errors` };
  }
  for (const limit of now.latency) {
    const earlier = before.latency.find(({ quantile }) => quantile === limit.quantile);
    if (!earlier || limit.underMs <= earlier.underMs) continue;
    const field = quantileField(limit.quantile);
    return { field, before: formatDurationMs(earlier.underMs), now: `${field} ${formatDurationMs(limit.underMs)}` };
  }
  return null;
}

/** `0.95` → `p95` */
export function quantileField(quantile: number): string {
  return `p${Number((quantile * 100).toFixed(6))}`;
}

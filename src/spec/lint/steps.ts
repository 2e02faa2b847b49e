import { formatWeightBp } from '../../lib/units.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { errorFinding, type LintContext } from './lint.ts';

/** Weights rise strictly and end at 100 %. */
export function lintWeights({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.policies).flatMap((policy): Finding[] => {
    const findings: Finding[] = [];
    let previous = 0;
    for (const [index, { weightBp }] of policy.steps.entries()) {
      const place = at(['policies', policy.name, 'steps', index, 'weight']);
      if (weightBp <= previous) {
        const sentence = `policies.${policy.name}.steps[${index}] goes from ${formatWeightBp(previous)} to ${formatWeightBp(weightBp)}; weights rise`;
        findings.push(errorFinding(specErrors['weights-not-rising'], sentence, place));
      }
      previous = weightBp;
    }
    if (previous !== 10_000) {
      const last = at(['policies', policy.name, 'steps', policy.steps.length - 1, 'weight']);
      const sentence = `policies.${policy.name} ends at ${formatWeightBp(previous)}, not at 100%`;
      findings.push(errorFinding(specErrors['last-weight'], sentence, last));
    }
    return findings;
  });
}

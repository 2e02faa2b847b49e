import { nearestName } from '../../lib/nearest.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { errorFinding, type LintContext } from './lint.ts';

/** Every name refers to something that the spec declares. */
export function lintNames({ spec, at }: LintContext): Finding[] {
  const policies = Object.keys(spec.policies);
  return Object.values(spec.services).flatMap((service): Finding[] => {
    const findings: Finding[] = [];
    const versions = Object.keys(service.versions);
    if (!versions.includes(service.stable)) {
      const sentence = `services.${service.name} has no version ${service.stable}${guess(service.stable, versions)}`;
      const next = `Declared versions: ${versions.join(', ') || 'none'}.`;
      findings.push(
        errorFinding(specErrors['unknown-version'], sentence, at(['services', service.name, 'stable']), next),
      );
    }
    if (!policies.includes(service.policy)) {
      const sentence = `There is no policy ${service.policy}${guess(service.policy, policies)}`;
      const next = `Declared policies: ${policies.join(', ') || 'none'}.`;
      findings.push(
        errorFinding(specErrors['unknown-policy'], sentence, at(['services', service.name, 'release']), next),
      );
    }
    return findings;
  });
}

function guess(name: string, known: string[]): string {
  const nearest = nearestName(name, known);
  return nearest ? `; did you mean ${nearest}?` : '';
}

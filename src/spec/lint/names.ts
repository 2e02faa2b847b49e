import { didYouMean, listed } from '../../lib/nearest.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { errorFinding, type LintContext, warningFinding } from './lint.ts';
import { specWarnings } from './warnings.ts';

/** Every name refers to something that the spec declares. */
export function lintNames({ spec, at }: LintContext): Finding[] {
  const policies = Object.keys(spec.policies);
  const known = new Set(policies);
  const next = `Declared policies: ${listed(policies)}.`;
  return Object.values(spec.services).flatMap((service): Finding[] => {
    const findings: Finding[] = [];
    const versions = Object.keys(service.versions);
    if (!versions.includes(service.stable)) {
      const sentence = () =>
        `services.${service.name} has no version ${service.stable}${didYouMean(service.stable, versions)}`;
      const next = `Declared versions: ${listed(versions)}.`;
      findings.push(
        errorFinding(specErrors['unknown-version'], sentence, at(['services', service.name, 'stable']), next),
      );
    }
    const mirrored = service.traffic.gateway?.mirror?.version;
    if (mirrored !== undefined && !versions.includes(mirrored)) {
      const sentence = () =>
        `services.${service.name} has no version ${mirrored} to mirror to${didYouMean(mirrored, versions)}`;
      const position = at(['services', service.name, 'traffic', 'mirror', 'version']);
      findings.push(
        errorFinding(specErrors['unknown-version'], sentence, position, `Declared versions: ${listed(versions)}.`),
      );
    }
    if (!known.has(service.policy)) {
      const sentence = () => `There is no policy ${service.policy}${didYouMean(service.policy, policies)}`;
      findings.push(
        errorFinding(specErrors['unknown-policy'], sentence, at(['services', service.name, 'release']), next),
      );
    }
    return findings;
  });
}

/** Names are unique in their list, and every policy is used. */
export function lintDuplicates({ spec, at }: LintContext): Finding[] {
  const objectives = Object.values(spec.services).flatMap((service) =>
    repeated(service.objectives.map((objective) => objective.name)).map((index) => {
      const sentence = `services.${service.name} has two objectives named ${service.objectives[index]?.name}`;
      return errorFinding(
        specErrors['duplicate-name'],
        sentence,
        at(['services', service.name, 'objectives', index, 'name']),
      );
    }),
  );
  const classes = Object.values(spec.policies).flatMap((policy) =>
    repeated(policy.errors).map((index) => {
      const sentence = `policies.${policy.name} counts ${policy.errors[index]} twice`;
      return errorFinding(specErrors['duplicate-name'], sentence, at(['policies', policy.name, 'errors', index]));
    }),
  );
  return [...objectives, ...classes];
}

/** Every policy releases something. */
export function lintUnusedPolicies({ spec, at }: LintContext): Finding[] {
  const used = new Set(Object.values(spec.services).map((service) => service.policy));
  return Object.keys(spec.policies)
    .filter((name) => !used.has(name))
    .map((name) =>
      warningFinding(
        specWarnings['unused-policy'],
        `No service is released by policies.${name}`,
        at(['policies', name]),
      ),
    );
}

/** Indices of entries that stand further up already. */
function repeated(names: readonly string[]): number[] {
  const seen = new Set<string>();
  return names.flatMap((name, index) => (seen.size === seen.add(name).size ? [index] : []));
}

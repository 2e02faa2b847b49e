import { didYouMean, listed } from '../../lib/nearest.ts';
import { own } from '../../lib/own.ts';
import { formatDurationMs, formatShare } from '../../lib/units.ts';
import type { BlastLimits, ExperimentSpec } from '../chaos-model.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { SpecPath } from '../locator.ts';
import { errorFinding, type LintContext, warningFinding } from './lint.ts';
import { specWarnings } from './warnings.ts';

/** Every experiment names services and versions that exist, and a gateway edge that is counted. */
export function lintExperiments(context: LintContext): Finding[] {
  const experiments = Object.values(context.spec.chaos?.experiments ?? {});
  return experiments.flatMap((experiment) => [
    ...lintScope(context, experiment),
    ...lintProbes(context, experiment),
    ...lintBlast(context, experiment),
    ...lintPause(context, experiment),
  ]);
}

/** The supervisor ends a process that is silent for `health.startWithin`: a longer pause cannot last until its end. */
function lintPause({ spec, at }: LintContext, { name, scope, fault, durationMs }: ExperimentSpec): Finding[] {
  const service = own(spec.services, scope.service);
  if (fault.kind !== 'pause' || !service || durationMs < service.health.startWithinMs) return [];
  const patience = formatDurationMs(service.health.startWithinMs);
  const sentence = `chaos.experiments.${name} pauses for ${formatDurationMs(durationMs)}; services.${scope.service}.health.startWithin is ${patience}`;
  return [warningFinding(specWarnings['chaos-pause-outlasts'], sentence, at(['chaos', 'experiments', name, 'for']))];
}

/** With every instance ready and no release in flight an experiment must fit the limits, or it never runs at all. */
function lintBlast({ spec, at }: LintContext, experiment: ExperimentSpec): Finding[] {
  const { scope, fault, name } = experiment;
  const service = own(spec.services, scope.service);
  const limits = spec.chaos?.limits;
  if (!service || !limits || (scope.version !== null && scope.version !== service.stable)) return [];
  const ready = own(service.versions, service.stable)?.replicas ?? 0;
  const hit = Math.min(ready, scope.instances ?? ready);
  const ofProcesses = fault.kind === 'kill' || fault.kind === 'pause';
  const why = ofProcesses
    ? processesBeyond(hit, ready, limits)
    : requestsBeyond((ready === 0 ? 0 : hit / ready) * scope.share, limits);
  if (why === null) return [];
  const sentence = `chaos.experiments.${name} ${why}`;
  return [warningFinding(specWarnings['chaos-beyond-limits'], sentence, at(['chaos', 'experiments', name, 'scope']))];
}

function processesBeyond(hit: number, ready: number, limits: BlastLimits): string | null {
  if (hit / Math.max(1, ready) > limits.instancesShare + 1e-9) {
    return `hits ${hit} of ${ready} instances; chaos.limits.instances is ${formatShare(limits.instancesShare)}`;
  }
  if (ready - hit >= limits.minHealthy) return null;
  return `leaves ${ready - hit} of ${ready} instances; chaos.limits.minHealthy is ${limits.minHealthy}`;
}

function requestsBeyond(share: number, limits: BlastLimits): string | null {
  if (share <= limits.requestsShare + 1e-9) return null;
  return `hits ${formatShare(share, 0)} of the requests; chaos.limits.requests is ${formatShare(limits.requestsShare)}`;
}

function lintScope(context: LintContext, { name, scope }: ExperimentSpec): Finding[] {
  const path: SpecPath = ['chaos', 'experiments', name, 'scope'];
  const unknown = unknownService(context, scope.service, [...path, 'service']);
  const service = own(context.spec.services, scope.service);
  if (!service || scope.version === null || own(service.versions, scope.version)) return unknown;
  const known = Object.keys(service.versions);
  const { version } = scope;
  const sentence = () => `services.${scope.service} has no version ${version}${didYouMean(version, known)}`;
  const next = `Declared versions: ${listed(known)}.`;
  return [errorFinding(specErrors['unknown-version'], sentence, context.at([...path, 'version']), next)];
}

function lintProbes(context: LintContext, { name, probes }: ExperimentSpec): Finding[] {
  const names = new Set<string>();
  return probes.flatMap((probe, index) => {
    const path: SpecPath = ['chaos', 'experiments', name, 'probes', index];
    const twice = names.size === names.add(probe.name).size;
    const sentence = `chaos.experiments.${name} has two probes named ${probe.name}`;
    const repeated = twice ? [errorFinding(specErrors['duplicate-name'], sentence, context.at([...path, 'name']))] : [];
    return probe.kind === 'http'
      ? repeated
      : [...repeated, ...unknownService(context, probe.service, [...path, 'gateway'])];
  });
}

function unknownService({ spec, at }: LintContext, name: string, path: SpecPath): Finding[] {
  if (own(spec.services, name)) return [];
  const known = Object.keys(spec.services);
  const sentence = () => `There is no service ${name}${didYouMean(name, known)}`;
  return [errorFinding(specErrors['unknown-service'], sentence, at(path), `Declared services: ${listed(known)}.`)];
}

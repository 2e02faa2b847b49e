import { formatDurationMs } from '../../lib/units.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { speaksHttp2 } from '../gateway-model.ts';
import type { SpecPath } from '../locator.ts';
import { errorFinding, type LintContext, warningFinding } from './lint.ts';
import { specWarnings } from './warnings.ts';

/** A starting instance can pass its checks in time. */
export function lintHealth({ spec, at, has }: LintContext): Finding[] {
  return Object.values(spec.services).flatMap((service) => {
    const { everyMs, healthyAfter, startWithinMs } = service.health;
    if (everyMs * healthyAfter < startWithinMs) return [];
    const sentence =
      `services.${service.name}: ${healthyAfter} checks every ${formatDurationMs(everyMs)} take as long as ` +
      `the ${formatDurationMs(startWithinMs)} in which a version must be ready`;
    const own = ['services', service.name, 'health'];
    return [warningFinding(specWarnings['health-too-slow'], sentence, at(has(own) ? own : ['defaults', 'health']))];
  });
}

/** The check speaks what the instances speak. */
export function lintProbe({ spec, at, has }: LintContext): Finding[] {
  return Object.values(spec.services).flatMap((service): Finding[] => {
    const { probe } = service.health;
    const protocol = service.traffic.gateway?.protocol;
    const placeOf = (field: string) => {
      const own: SpecPath = ['services', service.name, 'health', field];
      return at(has(own) ? own : ['defaults', 'health', field]);
    };
    if (probe.kind === 'grpc' && !speaksHttp2(protocol)) {
      const sentence = `services.${service.name} speaks HTTP/1.1, and gRPC's health check needs HTTP/2`;
      return [errorFinding(specErrors['health-protocol'], sentence, placeOf('grpc'))];
    }
    if (probe.kind === 'h2c' && protocol === 'grpc') {
      const sentence = `services.${service.name} serves gRPC, but is asked for the path ${probe.path}`;
      return [warningFinding(specWarnings['health-path-of-grpc'], sentence, placeOf('path'))];
    }
    return [];
  });
}

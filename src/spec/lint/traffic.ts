import { formatDurationMs } from '../../lib/units.ts';
import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { errorFinding, type LintContext, trafficPath, warningFinding } from './lint.ts';
import { specWarnings } from './warnings.ts';

/** A mirror has something to copy. */
export function lintMirror(context: LintContext): Finding[] {
  return Object.values(context.spec.services).flatMap((service) => {
    const { mirror, protocol } = service.traffic.gateway ?? {};
    if (mirror === undefined || protocol !== 'grpc') return [];
    const sentence = `services.${service.name} serves gRPC, so that no request is copied to ${mirror.version}`;
    return [
      warningFinding(specWarnings['mirror-of-grpc'], sentence, context.at(trafficPath(context, service, ['mirror']))),
    ];
  });
}

/** All tries fit into the time of the request. */
export function lintTries(context: LintContext): Finding[] {
  return Object.values(context.spec.services).flatMap((service) => {
    const { retries, timeoutMs } = service.traffic;
    if (!retries || retries.maxTries * retries.perTryMs <= timeoutMs) return [];
    const sentence =
      `services.${service.name}: ${retries.maxTries} tries of ${formatDurationMs(retries.perTryMs)} take up to ` +
      `${formatDurationMs(retries.maxTries * retries.perTryMs)}, but a request ends after ${formatDurationMs(timeoutMs)}`;
    const position = context.at(trafficPath(context, service, ['retries', 'perTry']));
    return [warningFinding(specWarnings['tries-exceed-timeout'], sentence, position)];
  });
}

/** What a rolled-back version keeps for longer than this is no part of a quick rollback any more. */
const LONG_DRAIN_MS = 600_000;

/** A rollback ends what is open on the version while those who decided it still look. */
export function lintDrain(context: LintContext): Finding[] {
  return Object.values(context.spec.services).flatMap((service) => {
    const drainMs = service.traffic.gateway?.drainMs ?? 0;
    if (drainMs <= LONG_DRAIN_MS) return [];
    const sentence = `services.${service.name}: streams and WebSockets stay on a version for up to ${formatDurationMs(drainMs)} after it was rolled back`;
    const position = context.at(trafficPath(context, service, ['drain']));
    return [warningFinding(specWarnings['drain-long'], sentence, position)];
  });
}

/**
 * Ejection may take one of up to three instances, half of more, and always leaves one (docs/spec.md). With a single instance it
 * never acts; with two or more it always can.
 */
export function lintEjection({ spec, at }: LintContext): Finding[] {
  return Object.values(spec.services).flatMap((service) => {
    if (!service.traffic.ejection) return [];
    return Object.values(service.versions)
      .filter((version) => version.replicas < 2)
      .map((version) => {
        const sentence = `services.${service.name}.versions.${version.name} has one instance; ejection leaves one, so it can never act`;
        return warningFinding(
          specWarnings['ejection-impossible'],
          sentence,
          at(['services', service.name, 'versions', version.name]),
        );
      });
  });
}

/** Headers with a meaning of their own in HTTP (RFC 9110, RFC 9113) or in the gateway. */
const reserved = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'authorization',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'date',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'range',
  'te',
  'trailer',
  'traceparent',
  'tracestate',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-request-id',
]);

/** The canary header is a name that nobody else uses. */
export function lintCanaryHeader(context: LintContext): Finding[] {
  return Object.values(context.spec.services).flatMap((service) => {
    const header = service.traffic.canaryHeader;
    if (header === null || !reserved.has(header)) return [];
    const position = context.at(trafficPath(context, service, ['canaryHeader']));
    const sentence = `services.${service.name} selects the canary by ${header}, which has another meaning`;
    return [errorFinding(specErrors['header-reserved'], sentence, position)];
  });
}

import { specErrors } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { SpecPath } from '../locator.ts';
import { errorFinding, type LintContext } from './lint.ts';

/** Each service has a port of its own. */
export function lintPorts({ spec, at }: LintContext): Finding[] {
  const owners = new Map<number, string>();
  return Object.values(spec.services).flatMap((service): Finding[] => {
    const owner = owners.get(service.listenPort);
    if (owner === undefined) {
      owners.set(service.listenPort, service.name);
      return [];
    }
    const sentence = `services.${service.name} listens on port ${service.listenPort}, and so does ${owner}`;
    return [errorFinding(specErrors['port-conflict'], sentence, at(['services', service.name, 'listen']))];
  });
}

const loopback = new Set(['127.0.0.1', 'localhost', '[::1]', '0.0.0.0']);

/** An endpoint belongs to one version, and none of them is a port of the gateway: that would send requests round in a circle. */
export function lintEndpoints({ spec, at }: LintContext): Finding[] {
  const gatewayPorts = new Map(
    Object.values(spec.services).map((service) => [String(service.listenPort), service.name]),
  );
  const owners = new Map<string, string>();
  return endpointsOf(spec).flatMap(({ endpoint, owner, path }): Finding[] => {
    const url = new URL(endpoint);
    const other = owners.get(endpoint);
    if (other === owner)
      return [errorFinding(specErrors['duplicate-name'], `${owner} names ${endpoint} twice`, at(path))];
    if (other !== undefined) {
      return [
        errorFinding(specErrors['endpoint-conflict'], `${endpoint} belongs to ${other} and to ${owner}`, at(path)),
      ];
    }
    owners.set(endpoint, owner);
    const gateway = gatewayPorts.get(url.port || '80');
    if (gateway === undefined || !loopback.has(url.hostname)) return [];
    const sentence = `${endpoint} of ${owner} is the gateway's own port for ${gateway}`;
    return [errorFinding(specErrors['endpoint-conflict'], sentence, at(path))];
  });
}

function endpointsOf(spec: LintContext['spec']): { endpoint: string; owner: string; path: SpecPath }[] {
  return Object.values(spec.services).flatMap((service) =>
    Object.values(service.versions).flatMap((version) =>
      version.endpoints.map((endpoint, index) => ({
        endpoint,
        owner: `${service.name}/${version.name}`,
        path: ['services', service.name, 'versions', version.name, 'endpoints', index],
      })),
    ),
  );
}

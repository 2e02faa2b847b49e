import type { CanaryRoute, InstanceAddress, RoutingTable, ServiceRoute, VersionRoute } from './model.ts';
import { isCount, isObject, isPositive, isShare, isTextOrNull } from './outside-values.ts';
import { optionsProblem } from './table-check-options.ts';

/** Bounds of one table; a table beyond them is refused as a whole. */
const tableLimits = {
  services: 256,
  versionsPerService: 32,
  instancesPerVersion: 256,
  edges: 64,
  nameLength: 200,
  minTtlMs: 100,
  maxTtlMs: 24 * 3_600_000,
} as const;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,64}$/;
const NAME = /^[A-Za-z0-9._/-]{1,200}$/;

/**
 * What is wrong with a table, in one sentence that names the field; null when nothing is. Every data plane refuses a
 * wrong table whole, so that a half-understood one is never in force.
 */
export function tableProblem(table: RoutingTable): string | null {
  if (!isObject(table)) return 'The table is not an object.';
  if (!isCount(table.term)) return 'term must be an integer >= 0.';
  if (!isCount(table.generation)) return 'generation must be an integer >= 0.';
  if (!Array.isArray(table.services)) return 'services must be a list.';
  if (table.services.length > tableLimits.services) return `services: more than ${tableLimits.services}.`;
  const names = new Set<string>();
  const ports = new Map<number, string>();
  for (const route of table.services) {
    const problem = routeProblem(route);
    if (problem !== null) return `services.${isObject(route) ? String(route.service) : '?'}: ${problem}`;
    if (names.has(route.service)) return `services.${route.service}: the service stands twice.`;
    names.add(route.service);
    const other = ports.get(route.listenPort);
    if (other !== undefined) return `services.${route.service}: listenPort ${route.listenPort} is also ${other}'s.`;
    ports.set(route.listenPort, route.service);
  }
  return null;
}

function routeProblem(route: ServiceRoute): string | null {
  if (!isObject(route)) return 'not an object.';
  if (!isName(route.service)) return 'service must be a name.';
  if (typeof route.listenHost !== 'string' || route.listenHost === '') return 'listenHost must be an address.';
  if (!isPort(route.listenPort)) return 'listenPort must be an integer 1..65535.';
  if (!Array.isArray(route.versions)) return 'versions must be a list.';
  if (route.versions.length > tableLimits.versionsPerService)
    return `more than ${tableLimits.versionsPerService} versions.`;
  const versions = new Set<string>();
  for (const version of route.versions) {
    const problem = versionProblem(version);
    if (problem !== null) return problem;
    if (versions.has(version.version)) return `version ${version.version} stands twice.`;
    versions.add(version.version);
  }
  if (!versions.has(route.stable)) return `stable ${String(route.stable)} is not among the versions.`;
  return (
    settingsProblem(route) ??
    optionsProblem(route) ??
    (route.canary === null ? null : canaryProblem(route.canary, route.stable, versions))
  );
}

function versionProblem(version: VersionRoute): string | null {
  if (!isObject(version) || !isName(version.version)) return 'a version must have a name.';
  if (!Array.isArray(version.instances)) return `version ${version.version}: instances must be a list.`;
  if (version.instances.length > tableLimits.instancesPerVersion) {
    return `version ${version.version}: more than ${tableLimits.instancesPerVersion} instances.`;
  }
  const ids = new Set<string>();
  for (const instance of version.instances) {
    const problem = instanceProblem(instance);
    if (problem !== null) return `version ${version.version}: ${problem}`;
    if (ids.has(instance.id)) return `version ${version.version}: instance ${instance.id} stands twice.`;
    ids.add(instance.id);
  }
  return null;
}

function instanceProblem(instance: InstanceAddress): string | null {
  if (!isObject(instance) || !isName(instance.id)) return 'an instance must have an id.';
  if (typeof instance.host !== 'string' || instance.host === '')
    return `instance ${instance.id}: host must be an address.`;
  if (!isTextOrNull(instance.zone)) return `instance ${instance.id}: zone must be a name.`;
  return isPort(instance.port) ? null : `instance ${instance.id}: port must be an integer 1..65535.`;
}

function canaryProblem(canary: CanaryRoute, stable: string, versions: Set<string>): string | null {
  if (!isObject(canary) || !versions.has(canary.version)) return 'the canary is not among the versions.';
  if (canary.version === stable) return 'canary and stable are the same version.';
  if (!isCount(canary.weightBp) || canary.weightBp > 10_000) return 'canary.weightBp must be an integer 0..10000.';
  if (!isName(canary.release)) return 'canary.release must be a name.';
  if (canary.header !== null && !(typeof canary.header === 'string' && TOKEN.test(canary.header))) {
    return 'canary.header must be a lower-case header name.';
  }
  if (!isObject(canary.lease) || !isName(canary.lease.id)) return 'canary.lease must have an id.';
  const { ttlMs } = canary.lease;
  if (!(ttlMs >= tableLimits.minTtlMs && ttlMs <= tableLimits.maxTtlMs)) {
    return `canary.lease.ttlMs must be ${tableLimits.minTtlMs}..${tableLimits.maxTtlMs}.`;
  }
  return null;
}

function settingsProblem(route: ServiceRoute): string | null {
  const { retries, ejection, rateLimit, edgesMs } = route;
  if (!isPositive(route.timeoutMs)) return 'timeoutMs must be > 0.';
  if (!Array.isArray(edgesMs) || edgesMs.length > tableLimits.edges)
    return `edgesMs must be a list of at most ${tableLimits.edges}.`;
  for (let i = 0; i < edgesMs.length; i++) {
    if (!isPositive(edgesMs[i]) || (i > 0 && edgesMs[i]! <= edgesMs[i - 1]!)) return 'edgesMs must be > 0 and rise.';
  }
  if (retries !== null) {
    if (!isObject(retries) || !isCount(retries.maxTries) || retries.maxTries < 1 || retries.maxTries > 10) {
      return 'retries.maxTries must be an integer 1..10.';
    }
    if (!isPositive(retries.perTryMs)) return 'retries.perTryMs must be > 0.';
    if (!isShare(retries.budgetShare)) return 'retries.budgetShare must be 0..1.';
  }
  if (
    ejection !== null &&
    (!isObject(ejection) ||
      !(isCount(ejection.consecutive5xx) && ejection.consecutive5xx > 0) ||
      !isPositive(ejection.forMs))
  ) {
    return 'ejection needs consecutive5xx >= 1 and forMs > 0.';
  }
  if (
    rateLimit !== null &&
    (!isObject(rateLimit) || !isPositive(rateLimit.perSecond) || !(isCount(rateLimit.burst) && rateLimit.burst > 0))
  ) {
    return 'rateLimit needs perSecond > 0 and an integer burst >= 1.';
  }
  return null;
}

function isPort(value: unknown): boolean {
  return isCount(value) && value >= 1 && value <= 65_535;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && NAME.test(value);
}

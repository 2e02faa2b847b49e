import { own } from '../lib/own.ts';
import type { ServiceSpec, Spec } from '../spec/model.ts';
import type { CanaryRoute, InstanceAddress, RoutingTable, ServiceRoute } from '../traffic/model.ts';
import type { InstanceStatus } from '../workloads/workloads.ts';
import type { TrafficLine } from './events.ts';
import { gatewayOptions } from './gateway-route.ts';
import { activeRelease, type FleetState, type ReleaseState } from './state.ts';

/** The ready instances per service and version. */
export type ReadyInstances = Record<string, Record<string, InstanceAddress[]>>;

/** Of the instances that are ready, by service and version, each where its last good health check reached it. */
export function readyInstances(list: readonly InstanceStatus[]): ReadyInstances {
  const byService = Map.groupBy(
    list.filter(({ phase }) => phase === 'ready'),
    ({ service }) => service,
  );
  return mapped(byService, (ofService) =>
    mapped(
      Map.groupBy(ofService, ({ version }) => version),
      (ofVersion) => ofVersion.map(({ id, host, address, port, zone }) => ({ id, host: address ?? host, port, zone })),
    ),
  );
}

function mapped<A, B>(groups: ReadonlyMap<string, A>, change: (group: A) => B): Record<string, B> {
  return Object.fromEntries([...groups].map(([name, group]) => [name, change(group)]));
}

/** How long the data plane keeps a canary's share without hearing from the controller. */
export const LEASE_TTL_MS = 15_000;

const LISTEN_HOST = '127.0.0.1';

/** What the data plane should do: a pure function of the spec, the fold and the instances that are ready. */
export function routesFor(spec: Spec, fleet: FleetState, ready: ReadyInstances): ServiceRoute[] {
  return Object.values(spec.services).map((service) => routeFor(spec, service, fleet, own(ready, service.name) ?? {}));
}

function routeFor(
  spec: Spec,
  service: ServiceSpec,
  fleet: FleetState,
  ready: Record<string, InstanceAddress[]>,
): ServiceRoute {
  const state = own(fleet.services, service.name);
  const held = fleet.traffic.hold?.services.find((line) => line.service === service.name);
  const stable = held?.stable ?? state?.stable ?? service.stable;
  const release = activeRelease(fleet, service.name);
  const served = release !== null && release.step >= 0 && (!held || held.canary === release.version);
  const canary = served && (own(ready, release.version)?.length ?? 0) > 0 ? release : null;
  const { gateway } = service.traffic;
  const inUse = canary ? [stable, canary.version] : [stable];
  const mirrored = gateway?.mirror?.version;
  const isMirrored = mirrored !== undefined && !inUse.includes(mirrored) && (own(ready, mirrored)?.length ?? 0) > 0;
  const versions = isMirrored ? [...inUse, mirrored] : inUse;
  return {
    service: service.name,
    listenHost: LISTEN_HOST,
    listenPort: service.listenPort,
    stable,
    canary: canary && {
      version: canary.version,
      weightBp: canary.weightBp,
      release: canary.id,
      header: service.traffic.canaryHeader,
      lease: { id: `weight/${canary.id}`, ttlMs: LEASE_TTL_MS },
    },
    versions: versions.map((version) => ({ version, instances: inRotation(own(ready, version) ?? [], release) })),
    timeoutMs: service.traffic.timeoutMs,
    retries: service.traffic.retries,
    ejection: service.traffic.ejection,
    rateLimit: service.traffic.rateLimit,
    edgesMs: edgesFor(spec, service, release),
    ...gatewayOptions(gateway, { specFile: spec.source.file, release, present: versions }),
  };
}

/** Ready instances without those that the release took out; never none, because a bad instance is better than no answer. */
function inRotation(instances: InstanceAddress[], release: ReleaseState | null): InstanceAddress[] {
  if (!release || release.removed.length === 0) return instances;
  const others = instances.filter(({ id }) => !release.removed.includes(id));
  return others.length > 0 ? others : instances;
}

/** A general ladder (about x1.5 per edge), so that quantiles can be read between the limits. */
const LADDER_MS = [
  1, 2, 3, 5, 7.5, 10, 15, 25, 35, 50, 75, 100, 150, 250, 350, 500, 750, 1000, 1500, 2500, 5000, 10_000,
];

/**
 * Edges where counts are kept: the ladder, every latency limit of the policy in force, every objective.
 * They depend on the release's own copy of the policy, so they stay the same for a whole release.
 */
function edgesFor(spec: Spec, service: ServiceSpec, release: ReleaseState | null): number[] {
  const policy = release?.policy ?? own(spec.policies, service.policy);
  const edges = new Set(LADDER_MS);
  for (const step of policy?.steps ?? []) for (const limit of step.limits.latency) edges.add(limit.underMs);
  for (const objective of service.objectives) if (objective.underMs !== null) edges.add(objective.underMs);
  return [...edges].sort((a, b) => a - b);
}

/** The short form of a table that goes into the ledger: what people and auditors read. */
export function trafficLines(routes: ServiceRoute[]): TrafficLine[] {
  return routes.map((route) => ({
    service: route.service,
    stable: route.stable,
    canary: route.canary?.version ?? null,
    weightBp: route.canary?.weightBp ?? 0,
    instances: Object.fromEntries(route.versions.map((version) => [version.version, version.instances.length])),
  }));
}

/** True when two sets of routes differ in anything the data plane acts on. */
export function routesDiffer(a: ServiceRoute[], b: ServiceRoute[]): boolean {
  return JSON.stringify(a) !== JSON.stringify(b);
}

/** Leases carry the term, so that a controller that was replaced cannot renew what its successor granted. */
export function tableOf(term: number, generation: number, routes: ServiceRoute[]): RoutingTable {
  return { term, generation, services: routes.map((route) => ({ ...route, canary: withTerm(route.canary, term) })) };
}

export function leaseIds(term: number, routes: ServiceRoute[]): string[] {
  return routes.flatMap((route) => withTerm(route.canary, term)?.lease.id ?? []);
}

function withTerm(canary: CanaryRoute | null, term: number): CanaryRoute | null {
  return canary && { ...canary, lease: { ...canary.lease, id: `${canary.lease.id}/${term}` } };
}

import type { Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import type { DataPlane, DataPlaneState, EffectiveRoute, Exposure } from './dataplane.ts';
import { trafficErrors } from './errors.ts';
import type { RoutingTable, ServiceRoute } from './model.ts';
import { tableProblem } from './table-check.ts';

/** What the next call does instead of succeeding. */
export type DataPlaneFault =
  /** Rejects; nothing happened. */
  | 'failed'
  /** Happens, and rejects all the same: the answer was lost. */
  | 'failed-but-done'
  /** Never settles; nothing happened. */
  | 'hang';

export interface MemoryDataPlane extends DataPlane {
  /** Asked before each call; null lets it pass. */
  fault: (call: 'apply' | 'renew' | 'observe') => DataPlaneFault | null;
  /** What becomes of a canary's share (basis points) that a table asks for: a router may round. The same one unless set. */
  weigh: (weightBp: number) => number;
  /** The process dies and starts anew: no table, another boot id, exposures forgotten. */
  restart(): void;
  bootId(): string;
  table(): RoutingTable | null;
  route(service: string): ServiceRoute | null;
  /** The canary's share of `service` that is in force now, in basis points. */
  weightOf(service: string): number;
  /** Notes requests that reached the canary, as a gateway does. */
  expose(service: string, requests: number, failures: number): void;
}

interface LeaseState {
  endsMs: number;
  expired: boolean;
}

/** A data plane without traffic, on a given clock: for simulation and for the contract that the real ones keep. */
export function createMemoryDataPlane(clock: Clock): MemoryDataPlane {
  let boots = 1;
  let table: RoutingTable | null = null;
  let text = '';
  let leases = new Map<string, LeaseState>();
  let exposures = new Map<string, Exposure>();

  function isLive(route: ServiceRoute): boolean {
    const lease = leases.get(route.service);
    if (route.canary === null || lease === undefined || lease.expired) return false;
    if (clock.monoMs() >= lease.endsMs) lease.expired = true;
    return !lease.expired;
  }

  function applyNow(next: RoutingTable): void {
    const problem = tableProblem(next);
    if (problem !== null) throw new DavyError(trafficErrors['invalid-table'], problem);
    refuseOlder(next);
    table = structuredClone(next);
    text = JSON.stringify(next);
    leases = new Map();
    for (const { service, canary } of table.services) {
      if (canary === null) continue;
      leases.set(service, { endsMs: clock.monoMs() + canary.lease.ttlMs, expired: false });
      if (exposures.get(service)?.release !== canary.release)
        exposures.set(service, newExposure(canary.release, canary.version));
    }
  }

  function refuseOlder(next: RoutingTable): void {
    if (table === null) return;
    const older = next.term < table.term || next.generation < table.generation;
    const other = next.term === table.term && next.generation === table.generation && JSON.stringify(next) !== text;
    if (!older && !other) return;
    const sentence = `Term ${table.term}, generation ${table.generation} is in force; ${next.term}/${next.generation} was refused.`;
    throw new DavyError(trafficErrors['stale-generation'], sentence);
  }

  function renewNow(ids: string[]): string[] {
    return ids.filter((id) => {
      const route = table?.services.find((candidate) => candidate.canary?.lease.id === id);
      if (route?.canary == null || !isLive(route)) return true;
      leases.set(route.service, { endsMs: clock.monoMs() + route.canary.lease.ttlMs, expired: false });
      return false;
    });
  }

  function effective(route: ServiceRoute): EffectiveRoute {
    const live = isLive(route);
    return {
      service: route.service,
      stable: route.stable,
      canary: route.canary?.version ?? null,
      decidedWeightBp: route.canary?.weightBp ?? 0,
      effectiveWeightBp: live ? plane.weigh(route.canary?.weightBp ?? 0) : 0,
      leaseExpired: route.canary !== null && !live,
      exposure: structuredClone(exposures.get(route.service) ?? null),
    };
  }

  function observeNow(): DataPlaneState {
    return {
      bootId: plane.bootId(),
      term: table?.term ?? 0,
      generation: table?.generation ?? 0,
      services: (table?.services ?? []).map(effective),
    };
  }

  async function call<T>(name: 'apply' | 'renew' | 'observe', act: () => T): Promise<T> {
    const outcome = plane.fault(name);
    if (outcome === null) return act();
    if (outcome === 'hang') return new Promise<T>(() => {});
    if (outcome === 'failed-but-done') act();
    throw new DavyError(trafficErrors.unreachable, `${name} did not get an answer.`);
  }

  const routeOf = (service: string): ServiceRoute | null =>
    table?.services.find((route) => route.service === service) ?? null;

  const plane: MemoryDataPlane = {
    fault: () => null,
    weigh: (weightBp) => weightBp,
    capabilities: { canMirror: false, canHeaderMatch: true, canLease: true, minWeightStepBp: 1 },
    apply: (next) => call('apply', () => applyNow(next)),
    renew: (ids) => call('renew', () => renewNow(ids)),
    observe: () => call('observe', observeNow),
    restart() {
      boots++;
      table = null;
      text = '';
      leases = new Map();
      exposures = new Map();
    },
    bootId: () => `memory-${boots}`,
    table: () => structuredClone(table),
    route: routeOf,
    weightOf(service) {
      const route = routeOf(service);
      return route === null ? 0 : effective(route).effectiveWeightBp;
    },
    expose(service, requests, failures) {
      const exposure = exposures.get(service);
      if (exposure === undefined || requests === 0) return;
      exposure.requests += requests;
      exposure.failures += failures;
      exposure.firstRequestAtMs ??= clock.nowMs();
      exposure.lastRequestAtMs = clock.nowMs();
      if (failures > 0) exposure.firstFailureAtMs ??= clock.nowMs();
    },
  };
  return plane;
}

function newExposure(release: string, version: string): Exposure {
  return {
    release,
    version,
    requests: 0,
    failures: 0,
    firstRequestAtMs: null,
    firstFailureAtMs: null,
    lastRequestAtMs: null,
  };
}

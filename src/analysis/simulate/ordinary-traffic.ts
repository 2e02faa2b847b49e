import { own } from '../../lib/own.ts';
import type { PolicySpec, ServiceSpec } from '../../spec/model.ts';
import type { Scenario } from './scenario.ts';
import type { TrafficSetup } from './traffic.ts';

const MAX_INSTANCES = 16;

/** Traffic of a service as its spec describes it, with the latency of an ordinary web service: median 50 ms, p95 158 ms, p99 250 ms. */
export function ordinaryTraffic(
  service: ServiceSpec,
  policy: PolicySpec,
  asked: Pick<TrafficSetup, 'rps' | 'baseErrorShare'> & { scenario: Scenario },
): TrafficSetup {
  const limits = policy.steps.flatMap((step) => step.limits.latency.map((limit) => limit.underMs));
  const edges = [...new Set([10, 25, 50, 100, 200, 400, 1000, 2500, ...limits])].sort((a, b) => a - b);
  const instances = (version: string | undefined): number => {
    const found = version === undefined ? undefined : own(service.versions, version);
    return Math.min(MAX_INSTANCES, Math.max(1, found?.endpoints.length || found?.replicas || 1));
  };
  const canary = Object.keys(service.versions).find((name) => name !== service.stable);
  return {
    ...asked,
    stable: service.stable,
    canary: canary ?? 'canary',
    canaryInstances: instances(canary),
    stableInstances: instances(service.stable),
    edges,
    medianMs: 50,
    latencySpread: 0.7,
  };
}

import type { Spec, VersionSpec } from '../spec/model.ts';

/** The system of the Workloads contract: `shop` with two instances of `v1` and one of `v2`. For tests only. */
export function shopSpec(run: string[] | { endpoints: Record<'v1' | 'v2', string[]> }): Spec {
  const version = (name: 'v1' | 'v2', replicas: number): VersionSpec => ({
    name,
    argv: Array.isArray(run) ? run : null,
    env: { VERSION: name },
    replicas,
    endpoints: Array.isArray(run) ? [] : run.endpoints[name],
    zone: null,
  });
  return {
    system: 'test',
    source: { file: 'davy.yaml', sha256: '' },
    policies: {},
    services: {
      shop: {
        name: 'shop',
        listenPort: 8082,
        stable: 'v1',
        versions: { v1: version('v1', 2), v2: version('v2', 1) },
        health: {
          probe: { kind: 'http1', path: '/' },
          everyMs: 50,
          timeoutMs: 1_000,
          unhealthyAfter: 2,
          healthyAfter: 2,
          startWithinMs: 3_000,
        },
        traffic: { timeoutMs: 1_000, retries: null, ejection: null, canaryHeader: null, rateLimit: null },
        policy: 'standard',
        objectives: [],
      },
    },
  };
}

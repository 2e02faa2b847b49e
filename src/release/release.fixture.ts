import type { PolicySpec, ServiceSpec, Spec } from '../spec/model.ts';
import type { ReleaseEvent } from './events.ts';
import { type EventContext, evolve } from './evolve.ts';
import { scriptedJudge } from './scripted-judge.fixture.ts';
import { emptyFleet, type FleetState } from './state.ts';

export const policy: PolicySpec = {
  name: 'quick',
  lookMs: 1000,
  steps: [
    { weightBp: 1000, holdMs: 10_000, limits: { errorShare: 0.02, latency: [{ quantile: 0.95, underMs: 500 }] } },
    { weightBp: 5000, holdMs: 10_000, limits: { errorShare: 0.02, latency: [] } },
    { weightBp: 10_000, holdMs: 10_000, limits: { errorShare: 0.02, latency: [] } },
  ],
  sustainedMs: 5000,
  instant: { errorShare: 0.2, overMs: 3000, minRequests: 20 },
  compare: { falseRollbackShare: 0.01, errors: { ratio: 1.1, plusShare: 0.0001 }, latency: { ratio: 1.2 } },
  promote: {
    confidenceShare: 0.99,
    errors: { ratio: 1.25, plusShare: 0.05 },
    latency: { ratio: 1.5, plusShare: 0.08 },
  },
  noData: { holdMs: 10_000, then: 'rollback' },
  inconclusive: { holdMs: 60_000, then: 'hold' },
  errors: ['5xx', 'timeout', 'reset'],
  warmupMs: 0,
  holdBackBp: 0,
  sharedIncident: 'hold',
};

const version = (name: string): ServiceSpec['versions'][string] => ({
  name,
  argv: ['true'],
  env: {},
  replicas: 2,
  endpoints: [],
  zone: null,
});

export const service: ServiceSpec = {
  name: 'shop',
  listenPort: 8080,
  stable: 'v1',
  versions: { v1: version('v1'), v2: version('v2'), v3: version('v3') },
  health: {
    probe: { kind: 'http1', path: '/q/health' },
    everyMs: 1000,
    timeoutMs: 500,
    unhealthyAfter: 3,
    healthyAfter: 1,
    startWithinMs: 5000,
  },
  traffic: { timeoutMs: 7000, retries: null, ejection: null, canaryHeader: 'x-canary', rateLimit: null },
  policy: 'quick',
  objectives: [],
  expectedRatePerSecond: null,
} as ServiceSpec;

export const spec: Spec = {
  system: 'test',
  services: { shop: service },
  policies: { quick: policy },
  source: { file: 'davy.yaml', sha256: '0'.repeat(64) },
};

const context: EventContext = { atMs: 0, by: 'ada' };

/** Folds events into a fleet that knows the service `shop` at v1. */
export function given(...events: ReleaseEvent[]): FleetState {
  const declared: ReleaseEvent = { type: 'service.declared', data: { service: 'shop', stable: 'v1' } };
  return [declared, ...events].reduce((fleet, event) => evolve(fleet, event, context, scriptedJudge), emptyFleet());
}

export const requestedV2: ReleaseEvent = {
  type: 'release.requested',
  data: { release: 'shop-1', service: 'shop', version: 'v2', from: 'v1', policy, startWithinMs: 5000, reason: 'new' },
};

export const stepOf = (step: number): ReleaseEvent => ({
  type: 'release.step.decided',
  data: {
    release: 'shop-1',
    step,
    weightBp: policy.steps[step]?.weightBp ?? 0,
    why: 'evidence',
    reason: '',
    judgement: null,
  },
});

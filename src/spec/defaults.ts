import type { ErrorClass } from './model.ts';

type Then = 'rollback' | 'hold';
type None = 'none';

const policyErrors: ErrorClass[] = ['5xx', 'timeout', 'reset'];

/** Every default of the spec, as it would be written in the file. The schema, docs/spec.md and `normalise` read this one table. */
export const specDefaults = {
  version: { replicas: 1 },
  health: { path: '/q/health', every: '2s', timeout: '1s', unhealthyAfter: 3, healthyAfter: 1, startWithin: '60s' },
  traffic: {
    timeout: '7s',
    retries: 'none' as None,
    ejection: 'none' as None,
    canaryHeader: 'none',
    rateLimit: 'none' as None,
  },
  retries: { maxTries: 3, perTry: '2s', budget: '20%' },
  ejection: { consecutive5xx: 5, for: '30s' },
  policy: {
    look: '1s',
    sustained: '5m',
    errors: policyErrors,
    warmup: '2m',
    holdBack: '2%',
    sharedIncident: 'hold' as Then,
  },
  instant: { errors: '5%', over: '30s', minRequests: 50 },
  compare: { falseRollback: '1%', errors: { ratio: 1.1, plus: '0.01pp' }, latency: { ratio: 1.2 } },
  promote: { confidence: '99%', errors: { ratio: 1.25, plus: '0.1pp' }, latency: { ratio: 1.5, plus: '0.5pp' } },
  noData: { hold: '5m', then: 'rollback' as Then },
  inconclusive: { hold: '24h', then: 'hold' as Then },
  objective: { window: '30d' },
};

import { expect, test } from 'vitest';
import type { FaultSpec, ScopeSpec } from '../spec/chaos-model.ts';
import { describeExperiment } from './describe.ts';

const scope: ScopeSpec = { service: 'b', version: null, instances: null, zone: null, share: 1 };

test.each<[FaultSpec, Partial<ScopeSpec>, string]>([
  [{ kind: 'delay', delayMs: 200 }, { share: 0.2 }, 'delay 200ms, 20% of the requests to b'],
  [{ kind: 'abort', status: 503 }, { version: 'v2' }, 'abort with 503, all requests to b v2'],
  [
    { kind: 'bandwidth', bytesPerSecond: 100 },
    { instances: 1 },
    'bandwidth 100 bytes/s, all requests to 1 instance of b',
  ],
  [{ kind: 'dependency-down' }, {}, 'dependency-down, all requests to b'],
  [{ kind: 'kill' }, { instances: 2, zone: 'z1' }, 'kill 2 instances of b zone z1'],
  [{ kind: 'pause' }, {}, 'pause all instances of b'],
])('%o on %o', (fault, change, words) => {
  expect(describeExperiment({ fault, scope: { ...scope, ...change } })).toBe(words);
});

import { expect, test } from 'vitest';
import { testPort } from '../lib/test-port.fixture.ts';
import { runLoad } from '../load/generator.ts';
import type { LoadResult } from '../load/result.ts';
import { steadyPlan } from '../load/start-load.ts';
import { renderResult } from './load-view.ts';
import { styleFor } from './style.ts';

const late: LoadResult['validity'] = { verdict: 'INVALID', reasons: ['own lag p99 12.0 ms is above 10 ms'] };
const valid: LoadResult['validity'] = { verdict: 'VALID', reasons: [] };

test('what to do next: a wrong address comes before a generator that was late', async () => {
  const url = `http://127.0.0.1:${await testPort()}/`;
  const dead = await runLoad(steadyPlan({ url, ratePerSecond: 100, arrivals: 'uniform', durationMs: 50 })).done;
  const nothing = { ...dead, counts: { ...dead.counts, requests: 0 } };
  const some = { ...dead, counts: { ...dead.counts, ok: 1 } };
  const next = (result: LoadResult): string =>
    /next: .*/.exec(String(renderResult(result, [], styleFor(false))))?.[0] ?? 'none';
  expect(next({ ...dead, validity: valid })).toMatch('no request succeeded');
  expect(next({ ...dead, validity: late })).toMatch('no request succeeded');
  expect(next({ ...some, validity: late })).toMatch('run again on a quieter machine');
  expect(next({ ...nothing, validity: late })).toMatch('run again on a quieter machine');
  expect(next({ ...some, validity: valid })).toBe('none');
});

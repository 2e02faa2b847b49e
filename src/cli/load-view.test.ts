import { expect, test } from 'vitest';
import { testPort } from '../lib/test-port.fixture.ts';
import { runLoad } from '../load/generator.ts';
import type { Knee } from '../load/ladder.ts';
import type { LoadResult } from '../load/result.ts';
import { steadyPlan } from '../load/start-load.ts';
import { renderLadder, renderResult } from './load-view.ts';
import { styleFor } from './style.ts';

const late: LoadResult['validity'] = {
  ...{ verdict: 'INVALID', reasons: ['requests were sent 12.0 ms late in the median'], causes: ['late'] },
  unsound: ['p50', 'p75', 'p90', 'p95', 'p99', 'p999'],
};
const valid: LoadResult['validity'] = { verdict: 'VALID', reasons: [], causes: [], unsound: [] };

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

test('a ladder says whether it found the knee, and who ended it when it did not', () => {
  const knee = (found: Knee['found'], more: Partial<Knee> = {}): string =>
    String(renderLadder({ found, ratedPerSecond: 267, beyond: null, unknown: null, ...more }, []));
  const beyond = { ratePerSecond: 280, why: 'p99 is 2000.0 ms' };
  const unknown = { ratePerSecond: 400, why: 'INVALID: own CPU' };
  expect(knee('knee', { beyond })).toBe('carried      267/s\nbeyond       280/s: p99 is 2000.0 ms\n');
  expect(knee('max')).toBe('carried      267/s, the highest rate that was asked for\n');
  expect(knee('at-least', { unknown })).toMatch(
    /^carried {6}267\/s, or more: the knee was not found\nunknown {6}400\/s: INVALID: own CPU\n\nnext: /,
  );
  expect(knee('nothing', { ratedPerSecond: null, beyond, unknown })).toBe(
    'carried      nothing\nbeyond       280/s: p99 is 2000.0 ms\n',
  );
});

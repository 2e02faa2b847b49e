import { expect, test } from 'vitest';
import { createLatencyHistogram, latencyFigures, recordMs } from './figures.ts';
import type { LoadResult } from './result.ts';
import { slaTable } from './sla.ts';

function result(latenciesMs: number[], failed: number, verdict: 'VALID' | 'INVALID' = 'VALID', lagMs = 0): LoadResult {
  const [histogram, lag, punctual] = [createLatencyHistogram(), createLatencyHistogram(), createLatencyHistogram()];
  for (const ms of latenciesMs) {
    recordMs(histogram, ms);
    recordMs(punctual, ms - lagMs);
    recordMs(lag, lagMs);
  }
  const requests = latenciesMs.length;
  return {
    ...{ validity: { verdict, reasons: [] }, response: latencyFigures(histogram, { lag, punctual }) },
    counts: { requests, ok: requests - failed, errors: {}, statuses: {} },
  } as unknown as LoadResult;
}

const flat = (count: number, ms: number): number[] => new Array<number>(count).fill(ms);

test.each<[string, LoadResult, string]>([
  ['clearly under', result(flat(1_000, 10), 0), 'MET'],
  ['clearly over', result(flat(1_000, 600), 0), 'MISSED'],
  ['the interval spans the limit', result([...flat(950, 10), ...flat(50, 900)], 0), 'UNPROVEN'],
  ['too few requests, however quick', result(flat(399, 10), 0), 'UNPROVEN'],
  ['a spoiled run', result(flat(1_000, 10), 0, 'INVALID'), 'UNPROVEN'],
  ['nothing answered', result([], 0), 'UNPROVEN'],
  ['over, but the generator may have made it so', result(flat(1_000, 600), 0, 'VALID', 60), 'UNPROVEN'],
  ['over, whatever the generator added', result(flat(1_000, 900), 0, 'VALID', 60), 'MISSED'],
  ['under, with all that the generator added', result(flat(1_000, 400), 0, 'VALID', 60), 'MET'],
])('p95 under 500 ms: %s', (_, run, verdict) => {
  expect(slaTable({ latency: { p95: 500 }, errorShare: null }, run)[0]).toMatchObject({ name: 'p95', verdict });
});

test.each<[string, LoadResult, string]>([
  ['S4: no error in 1,815 requests does not prove 0.1 %', result(flat(1_815, 10), 0), 'UNPROVEN'],
  ['no error in 3,000 does', result(flat(3_000, 10), 0), 'MET'],
  ['2 % failed', result(flat(3_000, 10), 60), 'MISSED'],
  ['one failed', result(flat(3_000, 10), 1), 'UNPROVEN'],
])('errors under 0.1 %%: %s', (_, run, verdict) => {
  expect(slaTable({ latency: {}, errorShare: 0.001 }, run)[0]).toMatchObject({ name: 'errors', verdict });
});

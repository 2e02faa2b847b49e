import { expect, test } from 'vitest';
import { buildBaseline, needsRun } from './baseline.ts';
import { createLatencyHistogram, encodeHistogram, latencyFigures, recordMs } from './figures.ts';
import type { InvalidCause, LoadResult } from './result.ts';
import { steadyPlan } from './start-load.ts';

function run(ms: number, causes: InvalidCause[] = [], lagMs = 0): LoadResult {
  const [histogram, punctual, lag] = [1, 2, 3].map(createLatencyHistogram);
  for (let i = 0; i < 1_000; i++) {
    recordMs(histogram!, ms);
    recordMs(punctual!, ms - lagMs);
    recordMs(lag!, lagMs);
  }
  return {
    validity: { verdict: causes.length === 0 ? 'VALID' : 'INVALID', reasons: causes, causes, unsound: [] },
    ...{ achievedPerSecond: 100, counts: { requests: 1_000, ok: 1_000, errors: {}, statuses: {} } },
    response: latencyFigures(histogram!, { lag: lag!, punctual: punctual! }),
    histograms: {
      ...{ response: encodeHistogram(histogram!), punctual: encodeHistogram(punctual!), lag: encodeHistogram(lag!) },
    },
  } as unknown as LoadResult;
}

const plan = steadyPlan({
  url: 'http://127.0.0.1:1/',
  ratePerSecond: 100,
  headers: { authorization: 'Bearer s3cret', accept: '*/*' },
});
const sla = { latency: { p95: 500 }, errorShare: null };
const build = (results: LoadResult[], wantedRuns = 2) =>
  buildBaseline({ plan, sla, results, wantedRuns, generator: 'davy', atMs: 0 });

test('nothing comes from an INVALID run: neither figures, nor promises, nor thresholds', () => {
  const report = build([run(10), run(400, ['busy']), run(12)]);
  expect(report).toMatchObject({ verdict: 'MET', spoiledRuns: 1, runs: [{ validity: { verdict: 'VALID' } }, {}] });
  expect(report.runs).toHaveLength(2);
  expect(report.thresholds.map((one) => one.quantile)).toEqual(['p95', 'p99']);
  expect(Math.max(...report.thresholds.map((one) => one.medianMs))).toBeLessThan(13);
});

test('with fewer VALID runs than were wanted a baseline is INVALID and proposes nothing', () => {
  expect(build([run(10), run(10, ['busy']), run(10, ['busy'])])).toMatchObject({ verdict: 'INVALID', thresholds: [] });
  expect(build([run(10, ['late'])])).toMatchObject({ verdict: 'INVALID', thresholds: [], runs: [], sla: [] });
});

test('a quantile that the generator may have made proposes no threshold', () => {
  expect(build([run(10), run(10, [], 8)]).thresholds).toEqual([]);
});

test('a spoiled run is repeated, at most once for each that is wanted; a dead address is not asked again', () => {
  const spoiled = run(10, ['busy']);
  expect(needsRun([], 2)).toBe(true);
  expect(needsRun([spoiled], 2)).toBe(true);
  expect(needsRun([spoiled, run(10), spoiled], 2)).toBe(true);
  expect(needsRun([spoiled, spoiled, spoiled, run(10)], 2)).toBe(false);
  expect(needsRun([run(10), run(10)], 2)).toBe(false);
  expect(needsRun([run(10, ['no-answer'])], 2)).toBe(false);
});

test('what lets somebody in stays out of the report', () => {
  const report = build([run(10), run(10)]);
  expect(JSON.stringify(report)).not.toContain('s3cret');
  expect(report.plan.targets[0]!.headers).toEqual({ authorization: '…', accept: '*/*' });
});

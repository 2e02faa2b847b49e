import { expect, test } from 'vitest';
import { createLatencyHistogram, latencyFigures, recordMs } from './figures.ts';
import type { LoadCounts } from './result.ts';
import { validityOf } from './validity.ts';

/** Responses, each with the lag of its request. */
function figuresOf(values: readonly number[], lags: readonly number[] = []) {
  const [histogram, lag, punctual] = [createLatencyHistogram(), createLatencyHistogram(), createLatencyHistogram()];
  values.forEach((ms, i) => {
    recordMs(histogram, ms);
    recordMs(punctual, ms - (lags[i] ?? 0));
    recordMs(lag, lags[i] ?? 0);
  });
  return latencyFigures(histogram, { lag, punctual });
}

const counts: LoadCounts = { requests: 100, ok: 100, errors: {}, statuses: {} };
const times = (count: number, value: number): number[] => new Array<number>(count).fill(value);
const fine = {
  ...{ model: 'open/poisson' as const, cpuShare: 0.1, offered: 10_000, dropped: 0, counts },
  ...{ response: figuresOf(times(100, 20)), lag: figuresOf(times(100, 1)) },
};
const refused = { requests: 5, ok: 0, errors: { refused: 4, dns: 1 }, statuses: {} };

test.each([
  ['a sound run', fine, [], ''],
  [
    'a median that lateness made',
    { ...fine, response: figuresOf(times(100, 20), times(100, 12)) },
    ['late'],
    'late in the median',
  ],
  ['CPU', { ...fine, cpuShare: 0.9 }, ['busy'], 'own CPU 90.0 % of a core is above 80.0 %'],
  ['drops', { ...fine, dropped: 11 }, ['dropped'], '0.1 % of the arrivals were dropped'],
  ['ten drops in ten thousand', { ...fine, dropped: 10 }, [], ''],
  ['silence', { ...fine, offered: 0 }, ['nothing-sent'], 'nothing was sent'],
  [
    'nobody who answers',
    { ...fine, counts: refused, response: figuresOf([]) },
    ['no-answer'],
    'no request was answered (refused 4, dns 1)',
  ],
  [
    'a machine without ports',
    { ...fine, counts: { ...counts, errors: { local: 11 } } },
    ['local'],
    '0.1 % of the requests',
  ],
  ['a closed run has no schedule to miss', { ...fine, model: 'closed' as const, cpuShare: 1 }, [], ''],
  [
    'a closed run without an answer',
    { ...fine, model: 'closed' as const, counts: refused, response: figuresOf([]) },
    ['no-answer'],
    '',
  ],
])('%s', (_, run, causes, says) => {
  const validity = validityOf(run);
  expect(validity).toMatchObject({ verdict: causes.length === 0 ? 'VALID' : 'INVALID', causes });
  expect(validity.reasons.join('; ')).toContain(says);
});

test('one or two late sends of a short run spoil the tail and not the run', () => {
  const response = figuresOf([...times(96, 20), 60, 80, 90, 100], [...times(98, 0.1), 30, 80]);
  expect(validityOf({ ...fine, response })).toEqual({
    ...{ verdict: 'VALID', reasons: [], causes: [] },
    unsound: ['p99', 'p999'],
  });
});

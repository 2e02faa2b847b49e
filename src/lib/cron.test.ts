import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cronProblem, openCron } from './cron.ts';

describe('a cron line', () => {
  it.each([
    '0 */4 * * *',
    '0 0 29 2 *',
    '0 0 30 2 1',
    '0 0 31 2 MON',
    '5,35 9-17 * JAN-MAR 1-5',
    '0 0 L * *',
    '@daily',
    ' 0\t0 * * *\n',
  ])('%j is read', (line) => {
    expect(cronProblem(line)).toBeNull();
    expect(openCron(line).nextRun(new Date(0))).not.toBeNull();
  });

  it.each([
    ['', 0, 'has 0 fields, not five'],
    ['every four hours', 0, 'has 3 fields, not five'],
    ['0 0 0 * * *', 10, 'has 6 fields, not five (minute hour day month weekday)'],
    ['0 0 0 * * * 2030', 10, 'has 7 fields, not five'],
    ['2026-01-01T00:00:00', 0, 'has 1 field, not five'],
    ['@reboot', 0, 'has 1 field, not five'],
    ['60 * * * *', 0, 'has the minute "60", which is out of range'],
    ['0 24 * * *', 2, 'has the hour "24", which is out of range'],
    ['0 0 0 * *', 4, 'has the day "0", which is out of range'],
    ['0 0 1 13 *', 6, 'has the month "13", which is out of range'],
    ['0 0 * * 8', 8, 'has the weekday "8", which is out of range'],
    ['0 5-1 * * *', 2, 'has the hour "5-1", which is not read'],
    ['0 ? * * *', 2, 'has the hour "?", which is no part of a cron line'],
    ['0 0 30 2 *', 4, 'names day 30 of month 2, which no year has'],
    ['0 0 31 2,4,JUN *', 4, 'names day 31 of month 2,4,JUN, which no year has'],
    ['0 0 31 FEB +MON', 4, 'names day 31 of month FEB, which no year has'],
  ])('%j is refused at its character', (line, index, says) => {
    expect(cronProblem(line)).toEqual({ index, sentence: expect.stringContaining(says) });
  });

  const list = (one: fc.Arbitrary<string>) =>
    fc.array(one, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','));
  const upTo = (min: number, max: number) => {
    const number = fc.integer({ min, max });
    const range = fc.tuple(number, number).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
    const part = fc.oneof(number.map(String), range, fc.constant('*'));
    return list(
      fc.oneof(
        part,
        fc.tuple(range, fc.integer({ min: 1, max: 5 })).map(([a, step]) => `${a}/${step}`),
      ),
    );
  };

  it('is refused exactly when it never comes due', () => {
    const line = fc.tuple(upTo(1, 31), upTo(1, 12), fc.oneof(fc.constant('*'), upTo(0, 6)));
    fc.assert(
      fc.property(line, ([day, month, weekday]) => {
        const text = `0 0 ${day} ${month} ${weekday}`;
        const comesDue = openCron(text).nextRun(new Date(Date.UTC(2024, 0, 1))) !== null;
        expect(cronProblem(text) === null, text).toBe(comesDue);
      }),
      { numRuns: 500 },
    );
  });
});

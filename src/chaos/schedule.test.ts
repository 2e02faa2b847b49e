import { expect, test } from 'vitest';
import { dueRun, nextSlotMs } from './schedule.ts';

const hour = 3_600_000;
const at = (text: string): number => Date.parse(text);

test.each([
  ['nothing yet', '2026-03-29T00:00:00Z', '2026-03-29T03:59:59Z', null],
  [
    'exactly at the slot',
    '2026-03-29T00:00:00Z',
    '2026-03-29T04:00:00Z',
    { slotMs: at('2026-03-29T04:00:00Z'), missed: 0 },
  ],
  [
    'thirteen hours away: one run, two missed',
    '2026-03-29T00:00:00Z',
    '2026-03-29T13:00:00Z',
    { slotMs: at('2026-03-29T12:00:00Z'), missed: 2 },
  ],
])('%s, by interval and by cron', (_, considered, now, due) => {
  expect(dueRun({ kind: 'every', everyMs: 4 * hour }, at(considered), at(now))).toEqual(due);
  expect(dueRun({ kind: 'cron', cron: '0 */4 * * *' }, at(considered), at(now))).toEqual(due);
});

test('T02: six runs on every day, also when the local clock changes', () => {
  for (const day of ['2026-03-29', '2026-10-25', '2026-07-01']) {
    let runs = 0;
    let consideredMs = at(`${day}T00:00:00Z`) - 1;
    for (let nowMs = consideredMs; nowMs < at(`${day}T00:00:00Z`) + 24 * hour - 1; nowMs += 60_000) {
      const due = dueRun({ kind: 'cron', cron: '0 */4 * * *' }, consideredMs, nowMs);
      if (!due) continue;
      runs++;
      consideredMs = due.slotMs;
    }
    expect(runs).toBe(6);
  }
});

test('a very long absence still gives the newest slot', () => {
  const due = dueRun({ kind: 'cron', cron: '* * * * *' }, at('2026-01-01T00:00:00Z'), at('2026-06-01T00:00:30Z'));
  expect(due?.slotMs).toBe(at('2026-06-01T00:00:00Z'));
});

test('the next slot is after now', () => {
  expect(nextSlotMs({ kind: 'every', everyMs: 4 * hour }, at('2026-01-01T04:00:00Z'))).toBe(at('2026-01-01T08:00:00Z'));
  expect(nextSlotMs({ kind: 'cron', cron: '30 */4 * * *' }, at('2026-01-01T04:30:00Z'))).toBe(
    at('2026-01-01T08:30:00Z'),
  );
});

import { expect, test } from 'vitest';
import type { NewEvent } from '../ledger/record.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { silenceable } from './silence.ts';
import type { CounterSnapshot } from './source.ts';

const reading: CounterSnapshot = { bootId: 'b', atMs: 0, monoMs: 0, services: [] };
const actor = { kind: 'person' as const, id: 'operator' };

function given({ refusal = null as string | null, full = false } = {}) {
  const clock = createVirtualClock();
  const records: NewEvent[] = [];
  const notices: string[] = [];
  const ledger = {
    append: async (events: NewEvent[]) => {
      if (full) throw new Error('the disk is full');
      records.push(...events);
      return [];
    },
  };
  const metrics = silenceable({
    ...{ source: { read: async () => reading }, ledger, clock },
    ...{ refusal: () => refusal, onNotice: (text: string) => notices.push(text) },
  });
  return { clock, records, notices, metrics };
}

test('every reading fails until the lease is over, and both ends are recorded', async () => {
  const { clock, records, metrics } = given();
  expect(await metrics.read()).toBe(reading);
  expect(await metrics.silence({ forMs: 5_000, reason: 'x' }, actor)).toEqual({ untilMs: clock.nowMs() + 5_000 });
  await expect(metrics.read()).rejects.toMatchObject({ code: 'metrics/silenced' });
  await clock.advance(4_999);
  await expect(metrics.read()).rejects.toMatchObject({ code: 'metrics/silenced' });
  await clock.advance(1);
  expect(await metrics.read()).toBe(reading);
  expect(records.map(({ type, stream, actor: by }) => [type, stream, by])).toEqual([
    ['metrics.silence.begun', 'metrics', actor],
    ['metrics.silence.ended', 'metrics', actor],
  ]);
});

test('a wall clock that is set back does not prolong it', async () => {
  const { clock, metrics } = given();
  await metrics.silence({ forMs: 5_000, reason: 'x' }, actor);
  clock.stepWall(-3_600_000);
  await clock.advance(5_000);
  expect(await metrics.read()).toBe(reading);
});

test('it cannot be made longer, and a second one waits for its end', async () => {
  const { clock, metrics } = given();
  const both = [1, 2].map(() => metrics.silence({ forMs: 5_000, reason: 'x' }, actor));
  const results = await Promise.allSettled(both);
  expect(results.map((one) => one.status)).toEqual(['fulfilled', 'rejected']);
  await clock.advance(2_000);
  const again = (): Promise<unknown> => metrics.silence({ forMs: 5_000, reason: 'x' }, actor);
  await expect(again()).rejects.toMatchObject({ code: 'metrics/already-silent' });
  await clock.advance(3_000);
  await again();
});

test.each([0, -1, 30_001, Number.NaN])('%s ms is no silence', async (forMs) => {
  const { metrics } = given();
  await expect(metrics.silence({ forMs, reason: 'x' }, actor)).rejects.toThrow('not 1 to 30000');
});

test('nothing is silenced that is refused, or that the ledger cannot hold', async () => {
  const refused = given({ refusal: 'chaos-1 is DIRTY' });
  const wish = { forMs: 5_000, reason: 'x' };
  await expect(refused.metrics.silence(wish, actor)).rejects.toMatchObject({ code: 'metrics/silence-refused' });
  expect(await refused.metrics.read()).toBe(reading);
  const full = given({ full: true });
  await expect(full.metrics.silence(wish, actor)).rejects.toThrow('the disk is full');
  expect(await full.metrics.read()).toBe(reading);
});

import { expect, test } from 'vitest';
import type { NewEvent } from '../ledger/record.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { recordedRestart } from './gateway-restart.ts';

const actor = { kind: 'person' as const, id: 'operator' };

/** `writable`: so many records can be written, then the disk is full. */
function given({ writable = 9, refused = false } = {}) {
  const clock = createVirtualClock();
  const records: NewEvent[] = [];
  const notices: string[] = [];
  const done: string[] = [];
  const ledger = {
    append: async (events: NewEvent[]) => {
      if (records.length >= writable) throw new Error('the disk is full');
      records.push(...events);
      return [];
    },
  };
  const renew = async (): Promise<{ pid: number }> => {
    done.push(`renewed after ${records.length} record`);
    await clock.advance(300);
    if (refused) throw new Error('the successor ended');
    return { pid: 7 };
  };
  const restart = recordedRestart({ ledger, clock, renew, onNotice: (text) => notices.push(text) });
  return { records, notices, done, restart: (key?: string) => restart('upgrade', actor, key) };
}

const told = (records: NewEvent[]): unknown[] => records.map(({ type, data }) => ({ type, ...data }));

test('the wish is durable before anything happens, the effect afterwards', async () => {
  const { records, done, restart } = given();
  expect(await restart()).toEqual({ pid: 7, tookMs: 300 });
  expect(done).toEqual(['renewed after 1 record']);
  expect(told(records)).toEqual([
    { type: 'gateway.restart.requested', reason: 'upgrade' },
    { type: 'gateway.restart.completed', pid: 7, tookMs: 300 },
  ]);
  expect(records.every((record) => record.stream === 'gateway' && record.actor === actor)).toBe(true);
});

test('a restart that failed says why, in the ledger and to who asked', async () => {
  const { records, restart } = given({ refused: true });
  await expect(restart()).rejects.toThrow('the successor ended');
  expect(told(records)[1]).toEqual({ type: 'gateway.restart.failed', tookMs: 300, why: 'the successor ended' });
});

test('nothing is restarted when the wish cannot be written', async () => {
  const { done, restart } = given({ writable: 0 });
  await expect(restart()).rejects.toThrow('the disk is full');
  expect(done).toEqual([]);
});

test('what has happened is answered as it is when the effect cannot be written', async () => {
  const { notices, restart } = given({ writable: 1 });
  expect(await restart()).toMatchObject({ pid: 7 });
  expect(notices).toEqual([expect.stringContaining('the disk is full')]);
});

test('the same key restarts once: meanwhile and afterwards it gets the first answer', async () => {
  const { done, restart } = given();
  const both = await Promise.all([restart('k-1'), restart('k-1')]);
  expect([...both, await restart('k-1')]).toEqual(Array(3).fill({ pid: 7, tookMs: 300 }));
  expect(done).toHaveLength(1);
  await restart('k-2');
  await restart();
  expect(done).toHaveLength(3);
});

test('a restart that failed can be asked for again with its key', async () => {
  const { done, restart } = given({ refused: true });
  await expect(restart('k-1')).rejects.toThrow('the successor ended');
  await expect(restart('k-1')).rejects.toThrow('the successor ended');
  expect(done).toHaveLength(2);
});

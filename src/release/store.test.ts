import { describe, expect, it } from 'vitest';
import { createMemoryStore, openMemoryLedger, type WriteOutcome } from '../ledger/memory-ledger.ts';
import { silentLog } from '../lib/log.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import type { ReleaseEvent } from './events.ts';
import { requestedV2, stepOf } from './release.fixture.ts';
import { saying, scriptedJudge } from './scripted-judge.fixture.ts';
import { createReleaseStore } from './store.ts';

const declared: ReleaseEvent = { type: 'service.declared', data: { service: 'shop', stable: 'v1' } };
const rolledBack: ReleaseEvent = {
  type: 'release.rollback.decided',
  data: { release: 'shop-1', cause: 'operator', reason: 'no', judgement: null },
};

async function setUp() {
  const clock = createVirtualClock();
  const disk = createMemoryStore();
  let outcome: WriteOutcome = 'ok';
  const fatal: unknown[] = [];
  const open = async () => {
    const ledger = await openMemoryLedger({ clock, store: disk, fault: () => outcome, reserveRecords: 0 });
    const onFatal = (error: unknown): void => void fatal.push(error);
    return createReleaseStore({ ledger, judge: scriptedJudge, nowMs: () => clock.nowMs(), log: silentLog, onFatal });
  };
  const store = await open();
  await store.commit(() => [declared, requestedV2]);
  return {
    store,
    fatal,
    open,
    types: () => disk.lines.map((line) => (JSON.parse(line) as { type: string }).type),
    lines: () => disk.lines.map((line) => JSON.parse(line) as { type: string; data: Record<string, unknown> }),
    willEnd: (next: WriteOutcome) => {
      outcome = next;
    },
  };
}

describe('a commit', () => {
  it('ok: durable first, then folded, and the same after a replay', async () => {
    const { store, open } = await setUp();
    await store.commit(() => [stepOf(0)]);
    const again = await open();
    await again.load();
    expect(again.fleet()).toEqual(store.fleet());
    expect(store.fleet().releases['shop-1']).toMatchObject({ step: 0, weightBp: 1000, phase: 'progressing' });
  });

  it('ok: half a character in a text keeps no decision from being written', async () => {
    const { store, lines } = await setUp();
    await store.commit(() => [stepOf(0)]);
    const data = { ...rolledBack.data, reason: 'exit \ud83d' } as (typeof rolledBack)['data'];
    await store.commit(() => [{ ...rolledBack, data } as ReleaseEvent]);
    expect(lines().at(-1)?.data.reason).toBe('exit \ufffd');
  });

  it('failed: a raise does not happen and says so; a rollback happens and is recorded late, in order', async () => {
    const { store, willEnd, lines } = await setUp();
    await store.commit(() => [stepOf(0)]);
    willEnd('disk-full');
    await expect(store.commit(() => [stepOf(1)])).rejects.toMatchObject({ code: 'release/ledger-unwritable' });
    expect(store.fleet().releases['shop-1']?.step).toBe(0);
    await store.commit(() => [rolledBack], { lowering: true });
    expect(store.fleet().releases['shop-1']?.phase).toBe('rolled-back');
    expect(store.lateCount()).toBe(1);
    willEnd('ok');
    await store.flush();
    expect(store.lateCount()).toBe(0);
    expect(lines().at(-1)).toMatchObject({ type: 'release.rollback.decided', data: { late: true } });
  });

  it('failed but done: this process must end, and the next one finds the event once', async () => {
    const { store, willEnd, fatal, open, types } = await setUp();
    willEnd('failed-but-done');
    await expect(store.commit(() => [stepOf(0)])).rejects.toMatchObject({ code: 'release/ledger-unwritable' });
    expect(fatal).toHaveLength(1);
    willEnd('ok');
    const next = await open();
    await next.load();
    expect(next.fleet().releases['shop-1']?.step).toBe(0);
    expect(types().filter((type) => type === 'release.step.decided')).toHaveLength(1);
  });

  it('writes waiting looks before the decision that rests on them', async () => {
    const { store, types } = await setUp();
    await store.commit(() => [stepOf(0)]);
    store.observe('shop-1', saying('continue'));
    store.observe('shop-1', saying('continue'));
    expect(store.fleet().releases['shop-1']?.judge).toEqual({ looks: 2 });
    await store.commit(() => [stepOf(1)]);
    expect(types().slice(-2)).toEqual(['release.observed', 'release.step.decided']);
  });

  it('a controller that was replaced may not even lower', async () => {
    const { store, open, fatal } = await setUp();
    await open();
    await expect(store.commit(() => [rolledBack], { lowering: true })).rejects.toMatchObject({
      code: 'release/ledger-unwritable',
    });
    expect(store.fleet().releases['shop-1']?.phase).toBe('requested');
    expect(fatal).toHaveLength(1);
  });
});

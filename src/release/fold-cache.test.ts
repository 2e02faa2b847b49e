import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Ledger } from '../ledger/ledger.ts';
import { openMemoryLedger } from '../ledger/memory-ledger.ts';
import type { NewEvent } from '../ledger/record.ts';
import { silentLog } from '../lib/log.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { type ReleaseEvent, toNewEvent } from './events.ts';
import { FoldCache } from './fold-cache.ts';
import { beginning, foldOn } from './history.ts';
import { requestedV2, stepOf } from './release.fixture.ts';
import { saying, scriptedJudge } from './scripted-judge.fixture.ts';
import { createReleaseStore } from './store.ts';

const LOOKS = 60;
const turn = async (): Promise<void> => {};

/** Releases of one service, one after the other, each with its looks: some 65 records apiece. */
function story(releases: number): NewEvent[] {
  const events: ReleaseEvent[] = [{ type: 'service.declared', data: { service: 'shop', stable: 'v1' } }];
  for (let n = 1; n <= releases; n++) {
    const release = `shop-${n}`;
    events.push({ ...requestedV2, data: { ...requestedV2.data, release } } as ReleaseEvent);
    const step = stepOf(0) as Extract<ReleaseEvent, { type: 'release.step.decided' }>;
    events.push({ ...step, data: { ...step.data, release } });
    for (let i = 0; i < LOOKS; i++)
      events.push({ type: 'release.observed', data: { release, looks: [saying('continue')] } });
    events.push({ type: 'release.cancelled', data: { release, reason: 'enough' } });
  }
  return events.map((event) => toNewEvent(event));
}

async function setUp(releases: number) {
  const ledger = await openMemoryLedger({ clock: createVirtualClock() });
  const events = story(releases);
  for (let at = 0; at < events.length; at += 500) await ledger.append(events.slice(at, at + 500));
  const reads = { records: 0 };
  const counting: Ledger = {
    ...ledger,
    read: async function* (from) {
      for await (const record of ledger.read(from)) {
        reads.records++;
        yield record;
      }
    },
  };
  return { ledger: counting, reads, size: ledger.head().size };
}

describe('folds along the ledger', () => {
  it('are what folding from the first record gives, in whatever order they are asked for', async () => {
    const { ledger, size } = await setUp(12);
    const cache = new FoldCache({ ledger, judge: scriptedJudge, turn });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: size }), async (seq) => {
        const options = { beforeSeq: seq, release: null, turn };
        const { fleet } = await foldOn(beginning(), ledger, scriptedJudge, options);
        expect((await cache.before(seq)).fleet).toEqual({ ...fleet, keys: {} });
      }),
      { numRuns: 25 },
    );
  });

  it('cost a small part of the ledger once it was gone through, and stay bounded', async () => {
    const { ledger, reads, size } = await setUp(200);
    const maxKept = 16;
    expect(size).toBeGreaterThan(maxKept * 256 * 2);
    const cache = new FoldCache({ ledger, judge: scriptedJudge, turn, maxKept });
    await cache.before(size);
    reads.records = 0;
    for (let i = 1; i <= 20; i++) await cache.before(Math.floor((size * i) / 21));
    // 8 to 16 folds are left, so one in 1,024 records; a question reads half of that on average.
    expect(reads.records / 20).toBeLessThan(1_024);
  });

  it('come for nothing from the replay at a start', async () => {
    const { ledger, reads, size } = await setUp(30);
    const cache = new FoldCache({ ledger, judge: scriptedJudge, turn });
    const store = createReleaseStore({
      ...{ ledger, judge: scriptedJudge, nowMs: () => 0, log: silentLog, onFatal: () => {} },
      onReplayed: (past) => cache.offer(past),
    });
    await store.load();
    reads.records = 0;
    await cache.before(size - 1);
    expect(reads.records).toBeLessThanOrEqual(257);
  });

  it('keep up with the ledger, and know where a release begins and ends', async () => {
    const { ledger, size } = await setUp(10);
    const cache = new FoldCache({ ledger, judge: scriptedJudge, turn });
    const end = cache.follow();
    await ledger.append([{ type: 'ledger.heartbeat', stream: 'ledger', data: {} }]);
    await cache.before(size);
    end();
    const { from, toSeq } = cache.around('shop-6');
    expect(from.fleet.releases['shop-6']).toBeUndefined();
    expect(from.nextSeq).toBeGreaterThan(0);
    expect(toSeq).toBeLessThan(size);
    expect((await cache.before(toSeq)).fleet.releases['shop-6']?.endedAtMs).not.toBeNull();
    expect(cache.around('shop-11').toSeq).toBe(size + 1);
  });
});

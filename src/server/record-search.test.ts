import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Ledger } from '../ledger/ledger.ts';
import { openMemoryLedger } from '../ledger/memory-ledger.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { type RecordFilter, searchBackwards, searchForwards } from './record-search.ts';

const SIZE = 12_400;
const ALL: RecordFilter = { types: [], text: '' };

describe('searching records', () => {
  let ledger: Ledger;
  beforeAll(async () => {
    ledger = await openMemoryLedger({ system: 'test', clock: createVirtualClock() });
    for (let written = 0; written < SIZE; written += 400) {
      await ledger.append(
        Array.from({ length: 400 }, (_, i) => ({
          type: (written + i) % 3 === 0 ? 'release.observed' : 'traffic.applied',
          stream: 'test',
          data: { i: written + i, words: (written + i) % 1_000 === 7 ? 'Seldom' : '' },
        })),
      );
    }
  });

  async function everything(filter: RecordFilter, limit: number): Promise<number[]> {
    const seqs: number[] = [];
    for (let before = ledger.head().size; before > 0; ) {
      const page = await searchBackwards(ledger, before, limit, filter);
      expect(page.records.length).toBeLessThanOrEqual(limit);
      expect(page.next).toBeLessThan(before);
      seqs.push(...page.records.map((record) => record.seq));
      before = page.next;
    }
    return seqs;
  }

  async function forwards(filter: RecordFilter, limit: number): Promise<number[]> {
    const seqs: number[] = [];
    for (let from = 0; from < ledger.head().size; ) {
      const page = await searchForwards(ledger, from, limit, filter);
      seqs.push(...page.records.map((record) => record.seq));
      from = page.next;
    }
    return seqs;
  }

  it('finds the same in both directions, each once and in order, however the pages fall', async () => {
    const filters = fc.constantFrom<RecordFilter>(
      ALL,
      { types: ['release.'], text: '' },
      { types: ['ledger.', 'traffic.applied'], text: 'SELDOM' },
      { types: [], text: 'seldom' },
      { types: [], text: 'nowhere' },
    );
    await fc.assert(
      fc.asyncProperty(filters, fc.integer({ min: 100, max: 1_000 }), async (filter, limit) => {
        expect(await everything(filter, limit)).toEqual((await forwards(filter, limit)).reverse());
      }),
      { numRuns: 12 },
    );
  });

  it('has no cliff: what fits is found beyond any page, and a call is bounded', async () => {
    expect((await everything({ types: ['release.'], text: '' }, 1_000)).length).toBe(Math.ceil(SIZE / 3));
    const rare = await searchBackwards(ledger, SIZE, 1_000, { types: [], text: 'nowhere' });
    expect(rare).toEqual({ next: SIZE - 10_000, records: [] });
  });
});

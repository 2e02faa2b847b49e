import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { openMemoryLedger } from '../../src/ledger/memory-ledger.ts';
import { createVirtualClock } from '../../src/lib/virtual-clock.ts';
import { type RecordFilter, searchBackwards, searchForwards } from '../../src/server/record-search.ts';
import { Found } from '../../web/src/timeline/found.ts';

const SIZE = 21_000;

/** The page's own paging, against the server's search over a ledger. */
describe('what fits a filter of the timeline', () => {
  let ledger: Ledger;
  let calls = 0;

  beforeAll(async () => {
    ledger = await openMemoryLedger({ clock: createVirtualClock() });
    await append(SIZE);
    vi.stubGlobal('fetch', async (path: string) => {
      calls++;
      const query = new URL(path, 'http://page').searchParams;
      const number = (name: string): number => Number(query.get(name));
      const types = (query.get('type') ?? '').split(',').filter((type) => type !== '');
      const filter: RecordFilter = { types, text: query.get('text') ?? '' };
      const page = query.has('before')
        ? await searchBackwards(ledger, number('before'), number('limit'), filter)
        : await searchForwards(ledger, number('from'), number('limit'), filter);
      return Response.json({ size: ledger.head().size, ...page });
    });
  });
  afterAll(async () => {
    vi.unstubAllGlobals();
    await ledger.close();
  });

  async function append(count: number): Promise<void> {
    const event = (i: number) => ({
      type: i % 2 === 0 ? 'even.happened' : 'odd.happened',
      stream: 'test',
      data: { i },
    });
    for (let at = 0; at < count; at += 500)
      await ledger.append(Array.from({ length: Math.min(500, count - at) }, (_, i) => event(at + i)));
  }

  /** A search, and a way to wait until it rests. */
  function open(filter: RecordFilter, size: number) {
    let woken = (): void => {};
    const found = new Found(filter, size, () => woken());
    const changed = (): Promise<void> =>
      new Promise((resolve) => {
        woken = resolve;
      });
    async function until(condition: () => boolean): Promise<void> {
      while (!condition()) await changed();
    }
    return { found, until };
  }

  it('is shown to its last record, far beyond any page, and scrolled back over what was let go', async () => {
    const size = ledger.head().size;
    const { found, until } = open({ types: ['even.'], text: '' }, size);
    const expected: number[] = [];
    for (let seq = size - 1; seq >= 0; seq--) expected.push(seq);
    await until(() => found.count > 0);
    while (!found.done) {
      const before = found.count;
      found.look(found.count - 20, found.count);
      await until(() => found.count > before || found.done);
    }
    expect(found.count).toBe(SIZE / 2);
    const at = async (index: number): Promise<number> => {
      found.look(index, index);
      await until(() => found.at(index) !== undefined);
      return found.at(index)?.seq ?? -1;
    };
    let last = Number.POSITIVE_INFINITY;
    for (const index of [0, 199, 200, 5_000, 5_001, 7_777, SIZE / 2 - 1]) {
      const seq = await at(index);
      expect(seq).toBeLessThan(last);
      last = seq;
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(SIZE / 2 - 2), async (index) => {
        expect((await at(index)) - (await at(index + 1))).toBe(2);
      }),
      { numRuns: 30 },
    );
    found.close();
  });

  it('goes through the whole ledger for what is rare, without anybody scrolling', async () => {
    const { found, until } = open({ types: [], text: '"i":7}' }, ledger.head().size);
    await until(() => found.done);
    expect(found.at(0)?.data).toEqual({ i: 7 });
    expect(found.count).toBe(1);
    found.close();
  });

  it('grows at the top with what is appended, and only with that', async () => {
    const { found, until } = open({ types: ['odd.'], text: '' }, ledger.head().size);
    await until(() => found.count > 0);
    const [before, newest] = [found.count, found.at(0)?.seq];
    await append(10);
    calls = 0;
    found.grown(ledger.head().size);
    await until(() => found.count > before);
    expect(found.count).toBe(before + 5);
    expect(found.at(5)?.seq).toBe(newest);
    expect(calls).toBe(1);
    found.close();
  });
});

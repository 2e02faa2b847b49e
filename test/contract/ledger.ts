import { afterEach, describe, expect, it } from 'vitest';
import { ZERO_HASH } from '../../src/ledger/codec.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { JsonObject, LedgerRecord, NewEvent } from '../../src/ledger/record.ts';
import { createVirtualClock } from '../../src/lib/virtual-clock.ts';

/** Opens a ledger on one place again and again, so that restarts can be tested. */
export interface LedgerPlace {
  open(): Promise<Ledger>;
  /** Ends the place without closing what is open, as a killed process would. */
  dispose(): Promise<void>;
}

export type MakePlace = (clock: ReturnType<typeof createVirtualClock>) => Promise<LedgerPlace>;

const event = (n: number, stream = 'release/a-1', data: JsonObject = { n }): NewEvent => ({
  type: 'test.happened',
  stream,
  data,
});

async function all(ledger: Ledger, from = 0): Promise<LedgerRecord[]> {
  const records: LedgerRecord[] = [];
  for await (const record of ledger.read(from)) records.push(record);
  return records;
}

/** What every store must do, whatever it writes to. */
export function ledgerContract(name: string, makePlace: MakePlace): void {
  describe(`ledger contract: ${name}`, () => {
    const places: LedgerPlace[] = [];
    const clock = createVirtualClock();
    async function place(): Promise<LedgerPlace> {
      const made = await makePlace(clock);
      places.push(made);
      return made;
    }
    const fresh = async (): Promise<Ledger> => (await place()).open();
    afterEach(async () => {
      for (const made of places.splice(0)) await made.dispose();
    });

    it('begins with a record that describes the ledger', async () => {
      const ledger = await fresh();
      expect(ledger.head()).toMatchObject({ size: 1, term: 1 });
      const [first] = await all(ledger);
      expect(first).toMatchObject({
        v: 1,
        seq: 0,
        prev: ZERO_HASH,
        type: 'ledger.opened',
        stream: 'ledger',
        tx: [1, 1],
      });
    });

    it('gives appended events their place and returns what a reader gets', async () => {
      const ledger = await fresh();
      const cause = (await all(ledger))[0]!.id;
      const returned = await ledger.append([
        event(1),
        { ...event(2), actor: { kind: 'person', id: 'u-1' }, cause, sd: ['c2FsdGVk'] },
      ]);
      const read = await all(ledger, 1);
      expect(read).toEqual(returned);
      expect(read.map((r) => [r.seq, r.sv, r.tx])).toEqual([
        [1, 0, [1, 2]],
        [2, 1, [2, 2]],
      ]);
      expect(read[1]!.prev).toBe((await all(ledger, 2))[0]!.prev);
      expect(read[1]).toMatchObject({ actor: { kind: 'person', id: 'u-1' }, cause, sd: ['c2FsdGVk'] });
      expect(ledger.head()).toMatchObject({ size: 3 });
    });

    it('counts versions per stream', async () => {
      const ledger = await fresh();
      await ledger.append([event(1, 'service/a'), event(2, 'service/b'), event(3, 'service/a')]);
      expect((await all(ledger, 1)).map((r) => [r.stream, r.sv])).toEqual([
        ['service/a', 0],
        ['service/b', 0],
        ['service/a', 1],
      ]);
    });

    it('writes nothing when an expected version does not match', async () => {
      const ledger = await fresh();
      await ledger.append([event(1)], { expected: { 'release/a-1': -1 } });
      await expect(ledger.append([event(2)], { expected: { 'release/a-1': -1 } })).rejects.toMatchObject({
        code: 'ledger/conflict',
      });
      await ledger.append([event(2)], { expected: { 'release/a-1': 0 } });
      expect(ledger.head().size).toBe(3);
    });

    it('lets exactly one of two concurrent writers of a version win', async () => {
      const ledger = await fresh();
      const outcomes = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => ledger.append([event(n)], { expected: { 'release/a-1': -1 } })),
      );
      expect(outcomes.filter((o) => o.status === 'fulfilled')).toHaveLength(1);
      expect(ledger.head().size).toBe(2);
    });

    it('answers a repeated idempotency key with the same records, also at the same moment and after a restart', async () => {
      const made = await place();
      const ledger = await made.open();
      const options = { idempotencyKey: 'promote-7' };
      const [one, two] = await Promise.all([
        ledger.append([event(1), event(2)], options),
        ledger.append([event(1), event(2)], options),
      ]);
      expect(two).toEqual(one);
      expect(await ledger.append([event(9)], options)).toEqual(one);
      await ledger.close();
      const again = await made.open();
      expect(await again.append([event(1), event(2)], options)).toEqual(one);
      expect(again.head().size).toBe(3);
      expect(one[0]!.key).toBe('promote-7');
      expect(one[1]!.key).toBeUndefined();
    });

    it('keeps order and density under many callers', async () => {
      const ledger = await fresh();
      const results = await Promise.all(Array.from({ length: 500 }, (_, n) => ledger.append([event(n, `s/${n % 7}`)])));
      expect(results.map(([r]) => r!.seq)).toEqual(Array.from({ length: 500 }, (_, n) => n + 1));
      const read = await all(ledger, 1);
      expect(read.map((r) => r.data.n)).toEqual(Array.from({ length: 500 }, (_, n) => n));
    });

    it('tells subscribers in order, before the append resolves, until they leave', async () => {
      const ledger = await fresh();
      const seen: number[] = [];
      const leave = ledger.subscribe((records) => {
        for (const record of records) seen.push(record.seq);
      });
      const [record] = await ledger.append([event(1)]);
      expect(seen).toEqual([record!.seq]);
      await Promise.all([ledger.append([event(2)]), ledger.append([event(3)])]);
      expect(seen).toEqual([1, 2, 3]);
      leave();
      await ledger.append([event(4)]);
      expect(seen).toHaveLength(3);
    });

    it('reads up to the head at the time of the call, from any seq', async () => {
      const ledger = await fresh();
      for (let n = 1; n < 10; n++) await ledger.append([event(n)]);
      const reading = ledger.read(5);
      await ledger.append([event(10)]);
      const seqs: number[] = [];
      for await (const record of reading) seqs.push(record.seq);
      expect(seqs).toEqual([5, 6, 7, 8, 9]);
      expect(await all(ledger, 11)).toEqual([]);
    });

    it('copies events when called, so that later changes of the caller do not reach the ledger', async () => {
      const ledger = await fresh();
      const data = { weights: [10, 90] };
      const pending = ledger.append([event(1, 's/a', data)]);
      data.weights[0] = 99;
      const [record] = await pending;
      expect(record!.data).toEqual({ weights: [10, 90] });
      expect((await all(ledger, 1))[0]!.data).toEqual({ weights: [10, 90] });
    });

    it.each([
      ['a number that is none', { n: Number.NaN }],
      ['an infinite number', { n: Number.POSITIVE_INFINITY }],
      ['an unsafe integer', { n: 2 ** 53 }],
      ['half a surrogate pair', { s: '\ud800' }],
      ['undefined', { u: undefined }],
      ['a date', { d: new Date(0) }],
      ['a deep nest', JSON.parse(`${'{"a":'.repeat(40)}1${'}'.repeat(40)}`)],
      ['a __proto__ field', JSON.parse('{"__proto__":{"x":1}}')],
    ])('refuses %s and writes nothing', async (_, data) => {
      const ledger = await fresh();
      await expect(ledger.append([event(1), event(2, 's', data as JsonObject)])).rejects.toMatchObject({
        code: 'ledger/bad-event',
      });
      expect(ledger.head().size).toBe(1);
    });

    it.each([
      ['no events', [] as NewEvent[]],
      ['too many events', Array.from({ length: 1_025 }, (_, n) => event(n))],
      ['a type with spaces', [{ ...event(1), type: 'a b' }]],
      ['a stream with a quote', [{ ...event(1), stream: 'a"b' }]],
      ['an empty actor id', [{ ...event(1), actor: { kind: 'person' as const, id: '' } }]],
    ])('refuses %s', async (_, events) => {
      const ledger = await fresh();
      await expect(ledger.append(events)).rejects.toMatchObject({ code: 'ledger/bad-event' });
    });

    it('refuses a record over 65,535 bytes and takes one just below', async () => {
      const ledger = await fresh();
      const before = ledger.head().size;
      await expect(ledger.append([event(1), event(2, 's/a', { s: 'ä'.repeat(32_800) })])).rejects.toMatchObject({
        code: 'ledger/record-too-large',
      });
      expect(ledger.head().size).toBe(before);
      const [record] = await ledger.append([event(1, 's/a', { s: 'x'.repeat(65_000) })]);
      expect((await all(ledger, record!.seq))[0]).toEqual(record);
    });

    it('continues after a restart with a higher term and the same records', async () => {
      const made = await place();
      const first = await made.open();
      await first.append([event(1), event(2)]);
      const before = await all(first);
      await first.close();
      await expect(first.append([event(3)])).rejects.toMatchObject({ code: 'ledger/closed' });
      const second = await made.open();
      expect(second.head()).toMatchObject({ size: 3, term: 2 });
      expect(await all(second)).toEqual(before);
      const [record] = await second.append([event(3)], { expected: { 'release/a-1': 1 } });
      expect(record).toMatchObject({ seq: 3, sv: 2, term: 2 });
    });

    it('keeps text of every kind byte for byte', async () => {
      const ledger = await fresh();
      const data = { 'ключ\n"\\': ['\u2028', '😀', '\u0000', -0.5, 1e-7, 1e21 + 0.5 > 0, null, { '2': 1, '1': 2 }] };
      const [record] = await ledger.append([event(1, 's/a', data)]);
      expect((await all(ledger, 1))[0]).toEqual(record);
      expect(record!.data).toEqual(data);
    });
  });
}

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { StreamTable } from './stream-table.ts';

/** Few different names, so that they come again; with prefixes of one another, and some too short for a word. */
const name = fc.oneof(
  fc.string({ maxLength: 3 }),
  fc.nat(40).map((n) => `release/service-${n}-1`),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
  fc.nat(20).map((n) => 'x'.repeat(n)),
);
const visits = fc.array(fc.tuple(name, fc.nat(9)), { maxLength: 200 });

it('keeps what a Map of texts keeps', () => {
  fc.assert(
    fc.property(visits, visits, (before, seen) => {
      const base = new Map(before);
      const model = new Map(before);
      const table = new StreamTable(new Map(base));
      for (const [text, version] of seen) {
        const id = table.findText(text);
        expect(table.version(id)).toBe(model.get(text) ?? -1);
        table.setVersion(id, version);
        model.set(text, version);
      }
      expect([...table.toMap()]).toEqual([...model]);
    }),
    { numRuns: 500 },
  );
});

it('tells a hundred thousand names apart, and finds them as a part of a line', () => {
  const table = new StreamTable();
  const ids = new Map<string, number>();
  for (let i = 0; i < 100_000; i++) {
    const text = `${i % 7}/${i * 7_919}`;
    ids.set(text, table.findText(text));
  }
  expect(new Set(ids.values()).size).toBe(100_000);
  for (const [text, id] of ids) {
    const bytes = Buffer.from(`"${text}"`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    expect(table.find(view, 1, bytes.length - 1)).toBe(id);
  }
});

it('joins parts of a log only where every stream goes on', () => {
  const part = (...records: [string, number][]): StreamTable => {
    const table = new StreamTable();
    for (const [text, version] of records) table.setVersion(table.findText(text), version);
    return table;
  };
  const whole = new StreamTable();
  expect(whole.append(part(['a', 0], ['release/b-1', 0], ['a', 1]).columns())).toBe(true);
  expect(whole.append(part(['a', 2], ['c', 0], ['release/b-1', 1], ['a', 3]).columns())).toBe(true);
  expect([...whole.toMap()]).toEqual([
    ['a', 3],
    ['release/b-1', 1],
    ['c', 0],
  ]);
  expect(whole.append(part(['a', 5]).columns())).toBe(false);
  expect(whole.append(part(['d', 1]).columns())).toBe(false);
});

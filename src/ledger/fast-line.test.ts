import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeEntry, type Place, prepareEvent } from './codec.ts';
import { FastLine } from './fast-line.ts';
import type { JsonObject, LedgerRecord } from './record.ts';
import { Scrubber } from './scrub.ts';

const PREV = 'ab'.repeat(32);
const place: Place = {
  seq: 7,
  time: '2026-11-20T19:10:37.123Z',
  w: 'ctl-1',
  term: 3,
  prev: PREV,
  id: '01900000-0000-7000-8000-000000000000',
  sv: 12,
  tx: [1, 3],
};
const scrubber = new Scrubber();

function lineOf(data: JsonObject, more: Partial<Place> = {}, cause?: string): string {
  const event = { type: 'release.look.judged', stream: 'release/b-1', data, ...(cause !== undefined && { cause }) };
  return encodeEntry({ ...place, ...more }, prepareEvent(event, scrubber)).slice(1);
}

function taught(): FastLine {
  const fast = new FastLine();
  fast.learn(JSON.parse(lineOf({})) as LedgerRecord);
  return fast;
}

/** Whatever the fast reader accepts, the full parser accepts too, and both see the same record. */
function agree(text: string): boolean {
  const fast = taught().read(`x\n${text}\n`, 2, 2 + text.length, 7, PREV);
  if (!fast) return false;
  const full = JSON.parse(text) as LedgerRecord;
  const { seq, type, stream, sv, tx, term, time, prev, key } = full;
  expect(fast).toEqual({ seq, type, stream, sv, tx, term, time, prev, ...(key !== undefined && { key }) });
  expect(Object.keys(full).every((name) => name !== 'att' && name !== 'sd')).toBe(true);
  return true;
}

it('reads what the encoder writes, unless it holds an escape or an exponent', () => {
  const plain = fc.jsonValue({ maxDepth: 4 }).filter((value) => !/\\|e[+-]?\d|\d{16}/.test(JSON.stringify(value)));
  fc.assert(
    fc.property(plain, fc.boolean(), (value, withKey) => {
      const text = lineOf({ value } as JsonObject, withKey ? { key: 'k-1' } : {}, withKey ? 'cause-1' : undefined);
      expect(agree(text)).toBe(true);
    }),
    { numRuns: 300 },
  );
  expect(agree(lineOf({ a: [], b: {}, c: [[1], { d: null }], e: -0.5, f: true, g: false, h: 0 }))).toBe(true);
  expect(agree(lineOf({}, { time: '2027-01-01T00:00:00.000Z', sv: 0, tx: [2, 2] }))).toBe(true);
});

it('never accepts a changed line that the full parser would refuse or read otherwise', () => {
  const text = lineOf(
    { n: 1, list: [1.5, 'x', null, { deep: [true, false, {}] }], word: 'plain', '': '' },
    { key: 'k' },
    'c',
  );
  const alphabet = '{}[],:"\\0123456789.-eE+tfn ulars\u0000\u0001\u00ff';
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(fc.nat(text.length), fc.constantFrom('replace', 'insert', 'delete'), fc.nat(alphabet.length - 1)),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
      (edits) => {
        let changed = text;
        for (const [at, kind, letter] of edits) {
          const insert = kind === 'delete' ? '' : alphabet[letter]!;
          changed = changed.slice(0, at) + insert + changed.slice(kind === 'insert' ? at : at + 1);
        }
        agree(changed);
      },
    ),
    { numRuns: 20_000 },
  );
});

it.each([
  ['a second data', (text: string) => `${text.slice(0, -1)},"data":{}}`],
  ['something behind', (text: string) => `${text} `],
  ['a cut', (text: string) => text.slice(0, -1)],
  ['an attachment', (text: string) => `${text.slice(0, -1)},"att":[]}`],
  ['a leading zero', (text: string) => text.replace('"sv":12', '"sv":012')],
  ['white space', (text: string) => text.replace('"data":{', '"data": {')],
  ['a record of the ledger itself', (text: string) => text.replace('release.look.judged', 'ledger.key-rotated')],
])('leaves %s to the full parser', (_, change) => {
  const text = change(lineOf({ n: 1 }));
  expect(taught().read(text, 0, text.length, 7, PREV)).toBeNull();
});

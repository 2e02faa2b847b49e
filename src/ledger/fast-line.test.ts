import { isUtf8 } from 'node:buffer';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseRecord } from './chain-check.ts';
import { encodeEntry, type Place, prepareEvent } from './codec.ts';
import { type ChainRecord, FastLine } from './fast-line.ts';
import type { JsonObject, LedgerRecord } from './record.ts';
import { Scrubber } from './scrub.ts';
import { toBinary } from './tree.ts';

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

/** Reads `line`, standing between other lines; the stream is looked up where the reader says that it stands. */
function readFast(fast: FastLine, line: Buffer, prev = PREV): (ChainRecord & { stream: string }) | null {
  const bytes = Buffer.concat([Buffer.from('x\n'), line, Buffer.from('\n{"v":1\n')]);
  fast.use(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.length));
  const record = fast.read(2, 7, toBinary(prev));
  if (!record) return null;
  expect(fast.end).toBe(2 + line.length);
  return { ...record, stream: bytes.toString('utf8', fast.streamStart, fast.streamEnd) };
}

/** Whatever the fast reader accepts, the full parser accepts too, and both see the same record. */
function agree(text: string | Buffer, fast = taught()): boolean {
  const line = Buffer.from(text);
  // A chunk that is not UTF-8 never comes here; a line ends at its first LF.
  if (!isUtf8(line) || line.includes(10)) return false;
  const found = readFast(fast, line);
  if (!found) return false;
  const full = parseRecord(line)!;
  expect(full).not.toBeNull();
  const { seq, type, stream, sv, tx, term, time, key } = full;
  expect(found).toEqual({ seq, type, stream, sv, tx, term, time, ...(key !== undefined && { key }) });
  expect(full.prev).toBe(PREV);
  expect(Object.keys(full).every((name) => name !== 'att' && name !== 'sd')).toBe(true);
  const head = JSON.stringify({ ...full, data: {} }).slice(0, -2);
  expect(String(line).startsWith(head)).toBe(true);
  return true;
}

it('reads what the encoder writes, unless it holds an escape or an exponent', () => {
  const plain = fc
    .jsonValue({ maxDepth: 4, stringUnit: 'grapheme' })
    .filter((value) => !/\\|e[+-]?\d|\d{16}/.test(JSON.stringify(value)));
  fc.assert(
    fc.property(plain, fc.boolean(), (value, withKey) => {
      const text = lineOf({ value } as JsonObject, withKey ? { key: 'k-ü' } : {}, withKey ? 'cause-1' : undefined);
      expect(agree(text)).toBe(true);
    }),
    { numRuns: 300 },
  );
  expect(agree(lineOf({ a: [], b: {}, c: [[1], { d: null }], e: -0.5, f: true, g: false, h: 0 }))).toBe(true);
  expect(agree(lineOf({}, { time: '2027-01-01T00:00:00.000Z', sv: 0, tx: [2, 2] }))).toBe(true);
  expect(agree(lineOf({}, { tx: [1, 1] }))).toBe(true);
});

const LINES = [
  lineOf({ n: 1, list: [1.5, 'x', null, { deep: [true, false, {}] }], word: 'plain', '': '' }, { key: 'k' }, 'c'),
  lineOf({ a: 'ä€😀', b: -12.75, c: [] }, { tx: [1, 1] }),
];
const ALPHABET = Buffer.from('{}[],:"\\0123456789.-eE+tfn ulars\u0000\u0001\u007f\u00ff\n');
const edits = fc.array(
  fc.tuple(fc.nat(600), fc.constantFrom('replace', 'insert', 'delete', 'repeat'), fc.nat(ALPHABET.length - 1)),
  { minLength: 1, maxLength: 3 },
);

function change(line: Buffer, changes: [at: number, kind: string, letter: number][]): Buffer {
  let changed = line;
  for (const [where, kind, letter] of changes) {
    const at = where % (changed.length + 1);
    const middle =
      kind === 'delete'
        ? Buffer.alloc(0)
        : kind === 'repeat'
          ? changed.subarray(Math.max(0, at - letter), at)
          : ALPHABET.subarray(letter, letter + 1);
    const rest = changed.subarray(kind === 'replace' || kind === 'delete' ? at + 1 : at);
    changed = Buffer.concat([changed.subarray(0, at), middle, rest]);
  }
  return changed;
}

it.each(LINES)('never accepts a changed line that the full parser would refuse or read otherwise: %s', (text) => {
  const fast = taught();
  fc.assert(
    fc.property(edits, (changes) => {
      agree(change(Buffer.from(text), changes), fast);
    }),
    { numRuns: Number(process.env.DAVY_FUZZ_LINES ?? 20_000) },
  );
});

it('never accepts a line with one byte changed to any other that the full parser would read otherwise', () => {
  const fast = taught();
  for (const text of LINES) {
    const line = Buffer.from(text);
    for (let at = 0; at < line.length; at++) {
      const kept = line[at]!;
      for (const byte of [
        0, 9, 13, 32, 34, 44, 45, 46, 47, 48, 57, 58, 92, 93, 101, 102, 103, 123, 125, 127, 128, 255,
      ]) {
        line[at] = byte;
        agree(line, fast);
      }
      line[at] = kept;
    }
    expect(agree(line, fast)).toBe(true);
  }
});

it('accepts no line after another than the one that it names', () => {
  const line = Buffer.from(lineOf({}));
  expect(readFast(taught(), line)).not.toBeNull();
  for (let i = 0; i < 64; i++) {
    const other = `${PREV.slice(0, i)}${PREV[i] === 'a' ? 'e' : 'a'}${PREV.slice(i + 1)}`;
    expect(readFast(taught(), line, other)).toBeNull();
  }
});

it.each([
  ['a second data', (text: string) => `${text.slice(0, -1)},"data":{}}`],
  ['something behind', (text: string) => `${text} `],
  ['a cut', (text: string) => text.slice(0, -1)],
  ['an attachment', (text: string) => `${text.slice(0, -1)},"att":[]}`],
  ['a leading zero', (text: string) => text.replace('"sv":12', '"sv":012')],
  ['another seq', (text: string) => text.replace('"seq":7', '"seq":8')],
  ['another writer', (text: string) => text.replace('ctl-1', 'ctl-2')],
  ['capital digits', (text: string) => text.replaceAll('ab', 'AB')],
  ['white space', (text: string) => text.replace('"data":{', '"data": {')],
  ['deep nesting', (text: string) => text.replace('"n":1', `"n":${'['.repeat(40)}${']'.repeat(40)}`)],
  ['a record of the ledger itself', (text: string) => text.replace('release.look.judged', 'ledger.key-rotated')],
])('leaves %s to the full parser', (_, change) => {
  expect(readFast(taught(), Buffer.from(change(lineOf({ n: 1 }))))).toBeNull();
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ChainCheck, parseRecord } from './chain-check.ts';
import { leafHash, ZERO_HASH } from './codec.ts';
import type { LedgerRecord } from './record.ts';
import { Frontier } from './tree.ts';

/** A small log: records alone and in appends of three, several streams, types, actors and terms, and some escapes. */
function log(): Partial<LedgerRecord>[] {
  const records: Partial<LedgerRecord>[] = [];
  const versions = new Map<string, number>();
  for (let seq = 0; seq < 24; seq++) {
    const stream = ['release/b-1', 's', 'ü/2'][seq % 3]!;
    const sv = (versions.get(stream) ?? -1) + 1;
    versions.set(stream, sv);
    const joined = seq % 8 < 3;
    records.push({
      v: 1,
      seq,
      time: `2026-11-20T19:10:${String(10 + Math.floor(seq / 2))}.123Z`,
      w: 'ctl-1',
      term: seq < 12 ? 1 : 2,
      prev: '',
      id: `01900000-0000-7000-8000-0000000000${10 + seq}`,
      type: seq % 5 === 0 ? 'ledger.heartbeat' : seq % 2 === 0 ? 'a.b' : 'release.look.judged',
      stream,
      sv,
      actor: { kind: 'controller', id: seq % 7 === 0 ? 'davy' : 'other' },
      ...(seq === 4 && { cause: 'c', key: 'k' }),
      tx: joined ? [(seq % 8) + 1, 3] : [1, 1],
      data: { n: seq, list: [1, -2.5, null], text: seq % 6 === 0 ? 'line\nfeed' : 'plain €' },
    });
  }
  return records;
}

type Change = [index: number, field: string, value: unknown];
const change: fc.Arbitrary<Change> = fc.tuple(
  fc.nat(23),
  fc.constantFrom(
    'seq',
    'time',
    'w',
    'term',
    'id',
    'type',
    'stream',
    'sv',
    'actor',
    'cause',
    'key',
    'tx',
    'data',
    'att',
  ),
  fc.oneof(
    fc.nat(12),
    fc.constantFrom(
      's',
      'a.b',
      '2026-11-20T19:10:12.123Z',
      '',
      '\ud800',
      null,
      [1, 1],
      [2, 3],
      [1, 3],
      [3, 3],
      [2, 1],
      {},
    ),
  ),
);

/** The lines with the changes made, each chained to the one before it as if it had been written so. */
function chained(changes: Change[]): string[] {
  const records = log();
  for (const [index, field, value] of changes) Object.assign(records[index]!, { [field]: value });
  let prev = ZERO_HASH;
  return records.map((record) => {
    const line = JSON.stringify({ ...record, prev });
    prev = leafHash(line);
    return line;
  });
}

/** The rules, written once more without any short cut: how many lines belong, and the root over them. */
function model(lines: readonly string[]): { size: number; root: string; versions: Map<string, number> } {
  const versions = new Map<string, number>();
  const frontier = new Frontier();
  let tip = ZERO_HASH;
  let term = 0;
  let open = [0, 0];
  let size = 0;
  for (const line of lines) {
    const record = parseRecord(Buffer.from(line));
    if (!record || record.seq !== size || record.prev !== tip || record.term < term) break;
    if (!line.startsWith(`{"v":1,"seq":${size},"time":"`)) break;
    if (record.sv !== (versions.get(record.stream) ?? -1) + 1) break;
    const [i, n] = record.tx;
    if (i > n || (open[0] === 0 ? i !== 1 : i !== open[0]! + 1 || n !== open[1])) break;
    open = i === n ? [0, 0] : [i, n];
    versions.set(record.stream, record.sv);
    tip = leafHash(line);
    term = record.term;
    frontier.append(tip);
    size += 1;
  }
  return { size, root: frontier.rootHex(), versions };
}

it('accepts as many lines as the rules do, also where the chain was made to fit a change', () => {
  expect(model(chained([])).size).toBe(24);
  fc.assert(
    fc.property(fc.array(change, { maxLength: 2 }), fc.integer({ min: 1, max: 24 }), (changes, perChunk) => {
      const lines = chained(changes);
      const expected = model(lines);
      const check = new ChainCheck();
      let stopped = false;
      for (let i = 0; i < lines.length && !stopped; i += perChunk) {
        const chunk = lines.slice(i, i + perChunk).map((line) => `${line}\n`);
        stopped = check.acceptLines(Buffer.from(chunk.join(''))) !== null;
      }
      expect(check.size).toBe(expected.size);
      expect(stopped).toBe(expected.size < lines.length);
      expect(check.frontier.rootHex()).toBe(expected.root);
      expect(check.toState()).toMatchObject({ size: expected.size, streams: expected.versions });
    }),
    { numRuns: 3_000 },
  );
});

it('names the record, and why', () => {
  const problemOf = (changes: Change[]): string => {
    const lines = chained(changes).map((line) => `${line}\n`);
    const { problem } = new ChainCheck().acceptLines(Buffer.from(lines.join('')))!;
    return `${problem.seq} ${problem.why}`;
  };
  expect(problemOf([[5, 'sv', 7]])).toBe('5 has stream version 7, expected 1');
  expect(problemOf([[13, 'term', 0]])).toBe('13 was written in term 0, after term 2');
  expect(problemOf([[9, 'tx', [3, 3]]])).toBe('9 breaks an atomic append');
  expect(problemOf([[9, 'stream', '\ud800']])).toBe('9 has no text as type or stream');
  expect(problemOf([[9, 'time', 'now']])).toBe('9 has a time that is not RFC 3339 UTC');
  expect(problemOf([[3, 'data', { text: 'x'.repeat(70_000) }]])).toBe('3 is longer than 65535 bytes');
});

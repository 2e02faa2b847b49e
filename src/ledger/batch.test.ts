import { hash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BatchBuffer } from './batch.ts';
import { leafHash, MAX_LINE_BYTES } from './codec.ts';

const line = fc
  .string({ unit: 'grapheme', maxLength: 200 })
  .filter((text) => !/[\0\n]/.test(text) && text.isWellFormed());

function contents(buffer: BatchBuffer): { text: string; lines: string[]; leaves: readonly string[] } {
  const { bytes, ends, leaves } = buffer.batch(0);
  const text = Buffer.from(bytes).toString();
  const lines = ends.map((end, i) => Buffer.from(bytes.subarray(ends[i - 1] ?? 0, end)).toString());
  return { text, lines, leaves };
}

it('holds exactly the lines that were added and kept, whatever their characters', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(line, fc.nat(5)), { maxLength: 60 }), (steps) => {
      const buffer = new BatchBuffer();
      const kept: string[] = [];
      for (const [text, back] of steps) {
        const leaf = buffer.add(`\0${text}`);
        expect(leaf).toBe(hash('sha256', Buffer.concat([Buffer.from([0]), Buffer.from(text)]), 'hex'));
        kept.push(text);
        if (back !== 1 || kept.length === 0) continue;
        kept.pop();
        buffer.truncate(kept.length);
      }
      const held = contents(buffer);
      expect(held.text).toBe(kept.map((text) => `${text}\n`).join(''));
      expect(held.lines).toEqual(kept.map((text) => `${text}\n`));
      expect(held.leaves).toEqual(kept.map(leafHash));
    }),
  );
});

it('refuses a line that is a byte too long and keeps the others as they were', () => {
  const buffer = new BatchBuffer();
  buffer.add('\0before');
  expect(buffer.add(`\0${'x'.repeat(MAX_LINE_BYTES + 1)}`)).toBeNull();
  expect(buffer.add(`\0${'é'.repeat((MAX_LINE_BYTES + 1) / 2)}`)).toBeNull();
  expect(buffer.add(`\0${'x'.repeat(MAX_LINE_BYTES)}`)).not.toBeNull();
  buffer.add('\0after');
  expect(contents(buffer).lines.map((text) => text.length)).toEqual([7, MAX_LINE_BYTES + 1, 6]);
});

it('begins anew after a batch, and the leaves given out before stay', () => {
  const buffer = new BatchBuffer();
  buffer.add('\0first');
  const { leaves } = buffer.batch(0);
  buffer.clear();
  expect(contents(buffer).text).toBe('');
  buffer.add('\0second');
  expect(leaves).toEqual([leafHash('first')]);
  expect(contents(buffer).text).toBe('second\n');
});

it('is full at as much as one write may hold', () => {
  const byCount = new BatchBuffer();
  for (let i = 0; i < 8_191; i++) byCount.add('\0x');
  expect(byCount.isFull).toBe(false);
  byCount.add('\0x');
  expect(byCount.isFull).toBe(true);
  const byBytes = new BatchBuffer();
  const long = `\0${'x'.repeat(65_535)}`;
  for (let i = 0; i < 63; i++) byBytes.add(long);
  expect(byBytes.isFull).toBe(false);
  byBytes.add(long);
  expect(byBytes.isFull).toBe(true);
});

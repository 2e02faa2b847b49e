import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { openMemoryLedger } from './memory-ledger.ts';
import { keepWatermark, readWatermark } from './watermark.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'davy-watermark-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('follows the records that count, and no others', async () => {
  const ledger = await openMemoryLedger({ clock: createVirtualClock() });
  const file = join(folder, 'mark.json');
  const problems: unknown[] = [];
  const end = keepWatermark(ledger, file, {
    counts: ({ type }) => type === 'a',
    onProblem: (error) => problems.push(error),
  });
  const write = (type: string) => ledger.append([{ type, stream: 's', data: {} }]);
  expect(readWatermark(file)).toBeNull();
  await write('a');
  expect(readWatermark(file)).toBe(2);
  await write('b');
  expect(readWatermark(file)).toBe(2);
  rmSync(folder, { recursive: true });
  await write('a');
  expect(problems).toHaveLength(1);
  end();
});

it.each(['', '{', 'null', '{"size":1.5}', '{"size":"2"}', '[]'])('says nothing when the file holds %j', (text) => {
  const file = join(folder, 'mark.json');
  writeFileSync(file, text);
  expect(readWatermark(file)).toBeNull();
});

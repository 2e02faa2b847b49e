import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { openFileLedger } from './file-ledger.ts';
import { segmentName } from './layout.ts';
import { verifyLedger } from './verify.ts';
import { verifyChain } from './verify-chain.ts';

/** A long ledger is checked side by side on all cores; whatever it meets must read as from the walk in order. */
const SIDE_BY_SIDE = { parallelFromBytes: 0 };
const ALSO_HERE = { parallelFromBytes: 0, useThisThread: true };
const IN_ORDER = { parallelFromBytes: Number.POSITIVE_INFINITY };
const clock = createVirtualClock();
let home = '';
let dir = '';
let kept = '';

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-verify-'));
  dir = join(home, 'ledger');
  const ledger = await openFileLedger({
    dir,
    system: 'shop',
    writerId: 'w',
    clock,
    reserveBytes: 64,
    segmentRecords: 64,
  });
  for (let n = 0; n < 120; n++) {
    const events = Array.from({ length: 1 + (n % 5) }, (_, i) => ({
      type: 'a.b',
      stream: `s/${(n + i) % 9}`,
      data: { n, i },
    }));
    await ledger.append(events);
    if (n === 40) kept = await ledger.checkpoint();
    if (n === 60) await ledger.rotateKey({ actor: { kind: 'person', id: 'u-1' }, reason: 'yearly' });
    if (n === 80) clock.stepWall(-5_000);
  }
  const att = await ledger.attach(Buffer.from('x'), { name: 'x', type: 't', desc: 'd' });
  await ledger.append([{ type: 'a.c', stream: 'evidence', data: {}, att: [att] }]);
  await ledger.close();
});
afterAll(() => rm(home, { recursive: true, force: true }));

const segment = (folder: string, index: number): string => join(folder, 'log', segmentName(index * 64));

async function change(path: string, edit: (lines: string[]) => string[]): Promise<void> {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  await rm(path);
  await writeFile(path, `${edit(lines).join('\n')}\n`);
}

const cases: [string, (folder: string) => Promise<void>][] = [
  ['nothing', async () => undefined],
  [
    'an edited record',
    (folder) => change(segment(folder, 2), (l) => l.map((line, i) => (i === 9 ? line.replace('"i":', '"j":') : line))),
  ],
  [
    'the last record of a segment',
    (folder) => change(segment(folder, 1), (l) => l.map((line, i) => (i === 63 ? line.replace('"i":', '"j":') : line))),
  ],
  ['a deleted record', (folder) => change(segment(folder, 3), (l) => l.toSpliced(20, 1))],
  ['a missing segment', (folder) => rm(segment(folder, 2))],
  [
    'swapped segments',
    async (folder) => {
      const [a, b] = [await readFile(segment(folder, 1)), await readFile(segment(folder, 2))];
      await rm(segment(folder, 1));
      await rm(segment(folder, 2));
      await writeFile(segment(folder, 1), b);
      await writeFile(segment(folder, 2), a);
    },
  ],
  ['a cut tail', (folder) => change(segment(folder, 5), (l) => l.slice(0, 3))],
  [
    'half a line at the end',
    async (folder) => {
      const path = segment(folder, 5);
      await writeFile(path, `${await readFile(path, 'utf8')}{"v":1,"se`);
    },
  ],
  [
    'half a line inside',
    async (folder) => {
      const text = await readFile(segment(folder, 1), 'utf8');
      await rm(segment(folder, 1));
      await writeFile(segment(folder, 1), `${text}{"v"`);
    },
  ],
  [
    'SEALS',
    async (folder) => {
      const text = await readFile(join(folder, 'SEALS'), 'utf8');
      await writeFile(
        join(folder, 'SEALS'),
        text.replace(/^./, (c) => (c === '0' ? '1' : '0')),
      );
    },
  ],
  ['a stranger in log/', (folder) => writeFile(join(folder, 'log', 'note.txt'), 'x')],
];

it.each(cases)('side by side finds the same as in order: %s', async (name, tamper) => {
  const folder = join(home, 'copy');
  await rm(folder, { recursive: true, force: true });
  await cp(dir, folder, { recursive: true });
  await tamper(folder);
  const inOrder = await verifyLedger(folder, { ...IN_ORDER, from: kept });
  const sideBySide = await verifyLedger(folder, { ...SIDE_BY_SIDE, from: kept });
  expect(sideBySide).toEqual(inOrder);
  expect(await verifyLedger(folder, { ...ALSO_HERE, from: kept })).toEqual(inOrder);
  const links = await verifyChain(folder, IN_ORDER);
  expect(await verifyChain(folder, SIDE_BY_SIDE)).toEqual(links);
  expect(await verifyChain(folder, ALSO_HERE)).toEqual(links);
  if (name === 'an edited record') expect(inOrder.firstBad).toMatchObject({ seq: 2 * 64 + 9 });
  expect(inOrder.ok).toBe(name === 'nothing' || name === 'half a line at the end');
  expect(inOrder.warnings.some(({ code }) => code === 'ledger/clock-stepped-back')).toBe(
    inOrder.ok || name === 'SEALS' || name === 'a stranger in log/' || name === 'a cut tail',
  );
});

it('accepts a log whose newest segment was begun and holds nothing yet', async () => {
  const folder = join(home, 'full');
  const options = { dir: folder, system: 'shop', writerId: 'w', clock, reserveBytes: 64, segmentRecords: 64 };
  const ledger = await openFileLedger(options);
  while (ledger.head().size < 128) await ledger.append([{ type: 'a.b', stream: 's/1', data: {} }]);
  await ledger.close();
  expect(await readFile(segment(folder, 2), 'utf8')).toBe('');
  const inOrder = await verifyLedger(folder, IN_ORDER);
  expect(inOrder).toMatchObject({ ok: true, size: 128 });
  expect(await verifyLedger(folder, SIDE_BY_SIDE)).toEqual(inOrder);
  expect(await verifyChain(folder, SIDE_BY_SIDE)).toEqual({ ok: true, size: 128 });
});

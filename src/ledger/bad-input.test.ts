import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { casPath } from './cas.ts';
import { signCheckpoint } from './checkpoint.ts';
import { type FileLedger, openFileLedger } from './file-ledger.ts';
import { loadOrCreateSigner } from './keys.ts';
import { nodeDisk } from './node-disk.ts';
import { verifyLedger } from './verify.ts';

const clock = createVirtualClock();
const meta = { name: 'a.txt', type: 'text/plain', desc: 'd' };
let home = '';
let dir = '';
let ledger: FileLedger;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-bad-input-'));
  dir = join(home, 'ledger');
  ledger = await openFileLedger({ dir, system: 'shop', writerId: 'w', clock, reserveBytes: 64 });
});
afterEach(async () => {
  await ledger.close();
  await rm(home, { recursive: true, force: true });
});

const write = (text: string) => ledger.append([{ type: 'a.b', stream: 's', data: { text } }]);
const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  );

async function afterRotation(): Promise<string> {
  const { origin, size, root } = { ...ledger.treeHead() };
  await ledger.rotateKey({ actor: { kind: 'person', id: 'u-1' }, reason: 'yearly' });
  const newKey = await loadOrCreateSigner(nodeDisk, `${dir}.key`, origin, 1);
  return codeOf(verifyLedger(dir, { from: signCheckpoint({ origin, size, root }, newKey) }));
}

async function ofAnotherLedger(): Promise<string> {
  const other = await openFileLedger({ dir: join(home, 'other'), system: 'x', writerId: 'w', clock, reserveBytes: 64 });
  const note = await other.checkpoint();
  await other.close();
  return codeOf(verifyLedger(dir, { from: note }));
}

async function symlinkInCas(): Promise<string> {
  const att = await ledger.attach(Buffer.from('x'), meta);
  const path = casPath(dir, att.sha256);
  await rm(path);
  await writeFile(join(dirname(path), 'elsewhere'), 'x');
  await symlink(join(dirname(path), 'elsewhere'), path);
  return codeOf(ledger.attach(Buffer.from('x'), meta));
}

async function steppedBack(): Promise<string> {
  await write('before');
  clock.stepWall(-60_000);
  await write('after');
  await ledger.checkpoint();
  const { ok, warnings } = await verifyLedger(dir);
  return `${ok}: ${warnings.map(({ code }) => code).join()}`;
}

const notUtf8 = Buffer.from([0x61, 0xff]).toString('utf8');

it.each<[string, string, () => Promise<string>]>([
  ['a record of 65 KB', 'ledger/record-too-large', () => codeOf(write('x'.repeat(65_536)))],
  [
    'a name that is not UTF-8',
    'ledger/bad-name',
    () => codeOf(ledger.attach(Buffer.from('x'), { ...meta, name: notUtf8 })),
  ],
  ['../ in a name', 'ledger/bad-name', () => codeOf(ledger.attach(Buffer.from('x'), { ...meta, name: '../x' }))],
  ['a symlink in cas/', 'ledger/strange-entry', symlinkInCas],
  ['a clock that steps back', 'true: ledger/clock-stepped-back', steppedBack],
  ['a checkpoint of another ledger', 'ledger/checkpoint-origin', ofAnotherLedger],
  ['a checkpoint of a key from before its time', 'ledger/key-out-of-range', afterRotation],
  [
    'an attachment that is not there',
    'ledger/attachment-missing',
    () =>
      codeOf(
        ledger.append([{ type: 'a.b', stream: 's', data: {}, att: [{ ...meta, sha256: 'a'.repeat(64), size: 1 }] }]),
      ),
  ],
])('%s is %s', async (_, code, attempt) => {
  expect(await attempt()).toBe(code);
  const [record] = await write('and the ledger goes on');
  expect(record!.data.text).toBe('and the ledger goes on');
});

it('the longest record that fits is written, one byte more is not', async () => {
  const [short] = await write('');
  const room = 65_535 - Buffer.byteLength(JSON.stringify(short));
  // `seq` and `sv` of the next records keep their length.
  expect(await codeOf(write('x'.repeat(room + 1)))).toBe('ledger/record-too-large');
  expect(await codeOf(write('x'.repeat(room)))).toBe('accepted');
});

import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { signCheckpoint } from './checkpoint.ts';
import { exportEvidence } from './export.ts';
import { type FileLedger, openFileLedger, type RotateKeyOptions } from './file-ledger.ts';
import { loadOrCreateSigner, parseVerifierKey, publicKeyPem } from './keys.ts';
import { nodeDisk } from './node-disk.ts';
import { nodesOfTiles } from './node-source.ts';
import type { LedgerRecord } from './record.ts';
import { type DiskCall, type DiskFault, MemoryDisk } from './testing/memory-disk.ts';
import { testSigner } from './testing/signer.ts';
import { verifyLedger } from './verify.ts';
import { requestCosignature } from './witness-client.ts';
import { startWitness } from './witness-server.ts';

const run = promisify(execFile);
const KIT = join(import.meta.dirname, 'kit', 'verify.sh');
const clock = createVirtualClock();
const ROTATE: RotateKeyOptions = { actor: { kind: 'person', id: 'u-1' }, reason: 'yearly' };
const happen = (ledger: FileLedger, n = 1) =>
  ledger.append([{ type: 'release.requested', stream: 'release/b-1', data: { release: 'b-1', n } }]);

async function rotations(ledger: FileLedger): Promise<LedgerRecord[]> {
  const found: LedgerRecord[] = [];
  for await (const record of ledger.read(0)) if (record.type === 'ledger.key-rotated') found.push(record);
  return found;
}

describe('a rotation', () => {
  const DIR = '/data/ledger';
  let disk = new MemoryDisk();
  const open = (): Promise<FileLedger> =>
    openFileLedger({ dir: DIR, system: 'shop', writerId: 'w', clock, disk, reserveBytes: 64, segmentRecords: 16 });
  const failAt = (what: (call: DiskCall) => boolean, fault: DiskFault): void => {
    let failed = false;
    disk.fault = (call) => {
      if (failed || !what(call)) return undefined;
      failed = true;
      return fault;
    };
  };
  beforeEach(() => {
    disk = new MemoryDisk();
  });

  it('says who and why, signs from its record on, and survives a restart', async () => {
    const ledger = await open();
    const before = ledger.vkey;
    await happen(ledger);
    const kept = await ledger.checkpoint();
    const { seq, vkey } = await ledger.rotateKey(ROTATE);
    expect([seq, vkey === ledger.vkey, vkey === before]).toEqual([2, true, false]);
    const [record] = await rotations(ledger);
    expect(record).toMatchObject({ seq, actor: { id: 'u-1' }, data: { vkey, old_vkey: before, reason: 'yearly' } });
    expect(disk.contents(`${DIR}/log-key.pem`).toString()).toBe(publicKeyPem(parseVerifierKey(vkey)));
    await ledger.close();
    const again = await open();
    expect(again.vkey).toBe(vkey);
    await again.close();
    expect(await verifyLedger(DIR, { disk, from: kept, vkey: before })).toMatchObject({ ok: true, checkpointSize: 3 });
  });

  it('that cannot be recorded changes nothing, and can be asked for again', async () => {
    const ledger = await open();
    const before = ledger.vkey;
    failAt(({ op, path }) => op === 'append' && path.includes('/log/'), 'enospc');
    await expect(ledger.rotateKey(ROTATE)).rejects.toMatchObject({ code: 'ledger/disk-full' });
    expect(ledger.vkey).toBe(before);
    expect(await rotations(ledger)).toEqual([]);
    await clock.advance(2_000);
    expect((await ledger.rotateKey(ROTATE)).vkey).not.toBe(before);
    expect(await rotations(ledger)).toHaveLength(1);
    await ledger.close();
    expect((await verifyLedger(DIR, { disk })).ok).toBe(true);
  });

  it('that is recorded but not finished is finished by asking again, without a second one', async () => {
    const ledger = await open();
    failAt(({ op, path }) => op === 'rename' && path.endsWith('.key'), 'eio');
    await expect(ledger.rotateKey(ROTATE)).rejects.toThrow(/EIO/);
    const [record] = await rotations(ledger);
    expect(await ledger.rotateKey(ROTATE)).toEqual({ seq: record!.seq, vkey: record!.data.vkey });
    expect(await rotations(ledger)).toHaveLength(1);
    await ledger.close();
    const again = await open();
    expect(again.vkey).toBe(record!.data.vkey);
    await again.close();
    expect((await verifyLedger(DIR, { disk })).ok).toBe(true);
  });

  it.each<[string, (call: DiskCall) => boolean, DiskFault]>([
    ['before its record is durable', ({ op, path }) => op === 'datasync' && path.includes('/log/'), 'crash'],
    ['after its record is durable', ({ op, path }) => op === 'datasync' && path.includes('/log/'), 'crash-after'],
    ['before the new key takes its place', ({ op, path }) => op === 'rename' && path.endsWith('.key'), 'crash'],
    ['after the new key took its place', ({ op, path }) => op === 'rename' && path.endsWith('.key'), 'crash-after'],
    ['before the public key is written', ({ op, path }) => op === 'open' && path.includes('log-key.pem'), 'crash'],
  ])('cut short by a crash %s leaves a ledger that opens, signs and verifies', async (_, what, fault) => {
    const ledger = await open();
    await happen(ledger);
    failAt(what, fault);
    await expect(ledger.rotateKey(ROTATE)).rejects.toThrow();
    disk.restartProcess();
    disk.fault = () => undefined;
    const again = await open();
    const done = await rotations(again);
    expect(again.vkey).toBe(done[0]?.data.vkey ?? ledger.vkey);
    expect(disk.contents(`${DIR}/log-key.pem`).toString()).toBe(publicKeyPem(parseVerifierKey(again.vkey)));
    await happen(again);
    await again.close();
    expect(disk.paths().filter((path) => path.endsWith('.next'))).toEqual([]);
    expect((await verifyLedger(DIR, { disk })).ok).toBe(true);
  });

  it('asked for twice with one idempotency key is one', async () => {
    const ledger = await open();
    const key = { ...ROTATE, idempotencyKey: 'k-1' };
    const first = await ledger.rotateKey(key);
    expect(await ledger.rotateKey(key)).toEqual(first);
    expect(await rotations(ledger)).toHaveLength(1);
    await ledger.close();
  });

  it('in the middle of appends, seals, checkpoints and other rotations never lets the wrong key sign', async () => {
    const ledger = await open();
    const work: Promise<unknown>[] = [];
    for (let n = 0; n < 120; n++) {
      work.push(happen(ledger, n));
      if (n % 7 === 0) work.push(ledger.checkpoint());
      if (n % 30 === 10) work.push(ledger.rotateKey(ROTATE));
      if (n % 11 === 0) await Promise.resolve();
      if (n % 13 === 0) await work.at(-1);
    }
    await Promise.all(work);
    await ledger.close();
    const again = await open();
    expect(await rotations(again)).toHaveLength(4);
    await again.close();
    expect(await verifyLedger(DIR, { disk })).toMatchObject({ ok: true, warnings: [] });
  });
});

describe('those who check a ledger whose key was rotated', () => {
  let home = '';
  let dir = '';
  let ledger: FileLedger;
  let first = '';
  let second = '';
  let kept = '';

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'davy-rotation-'));
    dir = join(home, 'ledger');
    ledger = await openFileLedger({ dir, system: 'shop', writerId: 'w', clock, reserveBytes: 64, segmentRecords: 256 });
    first = ledger.vkey;
    await happen(ledger);
    kept = await ledger.checkpoint();
    second = (await ledger.rotateKey(ROTATE)).vkey;
    await happen(ledger);
    await ledger.close();
    await writeFile(join(home, 'kept'), kept);
    await writeFile(join(home, 'first.pem'), publicKeyPem(parseVerifierKey(first)));
  });
  afterEach(() => rm(home, { recursive: true, force: true }));

  const forge = (signer: Parameters<typeof signCheckpoint>[1]): string => {
    const [, size, root] = kept.split('\n');
    const head = { size: Number(size), root: Buffer.from(root!, 'base64').toString('hex') };
    return signCheckpoint({ origin: ledger.origin, ...head }, { ...signer, name: ledger.origin });
  };

  it('the kit follows the chain of keys, in the folder and in both exports', async () => {
    const options = ['--checkpoint', join(home, 'kept'), '--key', join(home, 'first.pem')];
    const folders = [dir, join(home, 'release'), join(home, 'all')];
    await exportEvidence({ dir, release: 'b-1', outDir: folders[1]! });
    await exportEvidence({ dir, release: null, outDir: folders[2]! });
    for (const folder of folders) {
      const { stdout } = await run(KIT, [folder, ...options]);
      expect(stdout).toContain(
        'record 2 changes the key, signed by the key before: the new one signs from 3 records on',
      );
      expect(stdout).toContain('the kept checkpoint of 2 records is signed by the key of that time');
      expect(stdout).toContain("the key that you know is the ledger's from 0 records on");
      expect(stdout).toContain('RESULT ok');
    }
    expect(await readFile(join(home, 'release', 'keys', '0.pem'), 'utf8')).toBe(publicKeyPem(parseVerifierKey(first)));
    expect(await readFile(join(home, 'release', 'keys', '3.pem'), 'utf8')).toBe(publicKeyPem(parseVerifierKey(second)));
    expect(await readFile(join(home, 'release', 'README.md'), 'utf8')).toContain('The key was changed 1 time(s)');
  });

  it.each<[string, (out: string) => Promise<void>]>([
    ['the hand-over is not signed', (out) => edit(join(out, 'keys.jsonl'), /"signature":"..../, '"signature":"AAAA')],
    ['another key stands in log-key.pem', (out) => cp(join(out, 'keys', '0.pem'), join(out, 'log-key.pem'))],
    ['the hand-over is left out', (out) => edit(join(out, 'keys.jsonl'), /\n.*key-rotated.*\n/, '\n')],
  ])('the kit refuses an export in which %s', async (_, tamper) => {
    const out = join(home, 'out');
    await exportEvidence({ dir, release: 'b-1', outDir: out });
    await tamper(out);
    await rm(join(out, 'SHA256SUMS'));
    await expect(run(KIT, [out])).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('BAD') });
  });

  it('a checkpoint of the other key, and of a key it never had, are errors of their own', async () => {
    const newKey = await loadOrCreateSigner(nodeDisk, `${dir}.key`, ledger.origin, 1);
    const tooEarly = forge(newKey);
    const stranger = forge(testSigner(ledger.origin, 1));
    await expect(verifyLedger(dir, { from: tooEarly })).rejects.toMatchObject({ code: 'ledger/key-out-of-range' });
    await expect(verifyLedger(dir, { from: stranger })).rejects.toMatchObject({ code: 'ledger/unknown-key' });
    for (const note of [tooEarly, stranger]) {
      await writeFile(join(home, 'forged'), note);
      await expect(run(KIT, [dir, '--checkpoint', join(home, 'forged')])).rejects.toMatchObject({
        stdout: expect.stringContaining('the kept checkpoint is not signed by a key of this ledger'),
      });
    }
  });

  it('a witness goes on with both keys, and says so when it has not got the new one', async () => {
    const options = { dir: join(home, 'w'), name: 'w.example', port: 0, clock };
    const ask = async (keys: string[], checkpoint: string) => {
      const witness = await startWitness({ ...options, logKeys: keys.map(parseVerifierKey) });
      const target = { url: witness.url, verifier: parseVerifierKey(witness.vkey) };
      const node = nodesOfTiles(nodeDisk, dir, 4);
      return requestCosignature(target, checkpoint, node, 0).finally(() => witness.close());
    };
    const newest = await readFile(join(dir, 'checkpoint'), 'utf8');
    expect((await ask([first], kept)).timeSec).toBeGreaterThan(0);
    await expect(ask([first], newest)).rejects.toMatchObject({ code: 'ledger/witness-lacks-key' });
    expect((await ask([first, second], newest)).timeSec).toBeGreaterThan(0);
    await expect(ask([first, second], kept)).rejects.toMatchObject({ code: 'ledger/witness-refused' });
  });
});

async function edit(path: string, from: RegExp, to: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  expect(text).toMatch(from);
  await writeFile(path, text.replace(from, to));
}

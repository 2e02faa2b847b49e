import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { addEvidence } from './add-evidence.ts';
import { casPath } from './cas.ts';
import { leafHash } from './codec.ts';
import { startCollector } from './collector.ts';
import { CompletenessCheck } from './completeness.ts';
import { continueLedger } from './continue.ts';
import type { Disk } from './disk.ts';
import { compactTime, evidenceEvent, evidenceFileName, slugOf } from './evidence.ts';
import { exportEvidence } from './export.ts';
import { type FileLedger, openFileLedger } from './file-ledger.ts';
import { startHeartbeat } from './heartbeat.ts';
import { parseVerifierKey } from './keys.ts';
import { openMemoryLedger } from './memory-ledger.ts';
import { nodeDisk } from './node-disk.ts';
import { readFolder } from './reader.ts';
import type { JsonObject, LedgerRecord } from './record.ts';
import { checkTlogProof } from './tlog-proof.ts';
import { verifyLedger } from './verify.ts';

const run = promisify(execFile);
let home = '';
let dir = '';
let clock = createVirtualClock();
let ledger: FileLedger;

const open = () => openFileLedger({ dir, system: 'shop', writerId: 'w', clock, reserveBytes: 64, segmentRecords: 256 });
const release = (type: string, name: string, data: JsonObject = {}) =>
  ledger.append([{ type, stream: `release/${name}`, data: { release: name, ...data } }]);

async function records(): Promise<LedgerRecord[]> {
  const all: LedgerRecord[] = [];
  for await (const { record } of readFolder(dir)) all.push(record);
  return all;
}

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-evidence-'));
  dir = join(home, 'ledger');
  clock = createVirtualClock();
  ledger = await open();
});
afterEach(async () => {
  await ledger.close();
  await rm(home, { recursive: true, force: true });
});

async function storyOfTwoReleases(): Promise<void> {
  await release('release.requested', 'b-1');
  const report = { name: 'Load Report (v2).html', type: 'text/html', desc: '=HYPERLINK("x")\tload at 900 rps' };
  await ledger.append([
    evidenceEvent(await ledger.attach(Buffer.from('<html>'), report), { release: 'b-1', kind: 'load' }),
  ]);
  await release('release.completed', 'b-1');
  await release('release.requested', 'b-2');
  await release('release.rolledback', 'b-2');
}

describe('export', () => {
  it('of a release stands on its own: files, sums, descriptions, proofs, and the kit accepts it', async () => {
    await storyOfTwoReleases();
    await ledger.close();
    const outDir = join(home, 'out');
    const result = await exportEvidence({ dir, release: 'b-1', outDir });
    expect(result).toMatchObject({ records: 3, files: 1, proofs: 3, uncovered: 0 });
    const [file] = await readdir(join(outDir, 'evidence', 'b-1'));
    expect(file).toBe(`${compactTime(new Date(clock.nowMs()).toISOString())}-load-report-v2.html`);
    const rows = (await readFile(join(outDir, 'DESCRIPTIONS.tsv'), 'utf8'))
      .trimEnd()
      .split('\n')
      .map((row) => row.split('\t'));
    expect(rows[1]!.slice(1)).toEqual([
      '2',
      expect.any(String),
      `evidence/b-1/${file}`,
      `'=HYPERLINK("x") load at 900 rps`,
    ]);
    const { stdout } = await run(join(outDir, 'verify.sh'));
    expect(stdout).toContain('RESULT ok');
    expect(stdout).toContain('3 records are in the signed tree');
    const line = (await readFile(join(outDir, 'records.jsonl'), 'utf8')).split('\n')[0]!;
    const proof = await readFile(join(outDir, 'proofs', '1.tlog-proof'), 'utf8');
    expect(checkTlogProof(proof, line, parseVerifierKey(ledger.vkey))).toMatchObject({ seq: 1, size: 6 });
    expect(() => checkTlogProof(proof, `${line} `, parseVerifierKey(ledger.vkey))).toThrow(
      expect.objectContaining({ code: 'ledger/bad-proof' }),
    );
  });

  const tampering: [string, (outDir: string) => Promise<void>][] = [
    ['a record', async (out) => replace(join(out, 'records.jsonl'), '"kind":"load"', '"kind":"lead"')],
    [
      'a file',
      async (out) =>
        replace(join(out, 'evidence', 'b-1', (await readdir(join(out, 'evidence', 'b-1')))[0]!), '<html>', '<HTML>'),
    ],
    ['the checkpoint', async (out) => replace(join(out, 'checkpoint'), '\n6\n', '\n7\n')],
    ['a proof', async (out) => replace(join(out, 'proofs', '1.tlog-proof'), 'index 1', 'index 2')],
  ];
  it.each(tampering)('the kit rejects it when %s was changed, sums made to fit', async (_, tamper) => {
    await storyOfTwoReleases();
    await ledger.close();
    const outDir = join(home, 'out');
    await exportEvidence({ dir, release: 'b-1', outDir });
    await tamper(outDir);
    await run('bash', ['-c', 'find . -type f ! -name SHA256SUMS | cut -c3- | xargs -d "\\n" sha256sum > SHA256SUMS'], {
      cwd: outDir,
    });
    await expect(run(join(outDir, 'verify.sh'))).rejects.toMatchObject({
      code: 1,
      stdout: expect.stringContaining('BAD'),
    });
  });

  it('of everything carries the whole log, which the kit rebuilds', async () => {
    await storyOfTwoReleases();
    for (let n = 0; n < 300; n++) await release('release.observed', 'b-3', { n });
    await ledger.close();
    const outDir = join(home, 'all');
    const result = await exportEvidence({ dir, release: null, outDir });
    expect(result.records).toBe(306);
    const { stdout } = await run(join(outDir, 'verify.sh'));
    expect(stdout).toMatch(/306 records: chain and Merkle tree hold/);
    expect(stdout).toContain('sealed segments match SEALS');
    expect(await verifyLedger(join(outDir, 'ledger'))).toMatchObject({ ok: true, size: 306 });
    const bundle = await readFile(join(outDir, 'ledger', 'tile', 'entries', '001.p', '50'));
    const tile = await readFile(join(outDir, 'ledger', 'tile', '0', '001.p', '50'));
    expect(leafHash(bundle.toString('utf8', 2, 2 + bundle.readUInt16BE(0)))).toBe(tile.toString('hex', 0, 32));
  });

  it('of a ledger that goes on meanwhile ends where its checkpoint does', async () => {
    await storyOfTwoReleases();
    for (let n = 0; n < 300; n++) await release('release.observed', 'b-3', { n });
    await ledger.checkpoint();
    let growing = true;
    const grow = async (): Promise<void> => {
      if (!growing) return;
      growing = false;
      await release('release.observed', 'b-3', { at: 'each read' });
      await ledger.checkpoint();
      growing = true;
    };
    const disk: Disk = {
      ...nodeDisk,
      read: async (...args) => {
        const bytes = await nodeDisk.read(...args);
        await grow();
        return bytes;
      },
    };
    const outDir = join(home, 'all');
    const { head } = await exportEvidence({ dir, release: null, outDir, disk });
    expect(ledger.head().size).toBeGreaterThan(head.size + 5);
    const { stdout } = await run(join(outDir, 'verify.sh'));
    expect(stdout).toContain(`${head.size} records: chain and Merkle tree hold`);
    expect(await verifyLedger(join(outDir, 'ledger'))).toMatchObject({ ok: true, size: head.size });
  });

  it('of a release with too many records for a proof each carries the log that proves them', async () => {
    await storyOfTwoReleases();
    await ledger.close();
    const outDir = join(home, 'out');
    expect(await exportEvidence({ dir, release: 'b-1', outDir, maxProofs: 2 })).toMatchObject({
      records: 3,
      proofs: 0,
    });
    expect((await run(join(outDir, 'verify.sh'))).stdout).toMatch(/6 records: chain and Merkle tree hold/);
    await replace(join(outDir, 'records.jsonl'), '"kind":"load"', '"kind":"lead"');
    await rm(join(outDir, 'SHA256SUMS'));
    await expect(run(join(outDir, 'verify.sh'))).rejects.toMatchObject({
      stdout: expect.stringContaining('record 2 in records.jsonl is not the one in the log'),
    });
  });

  it('refuses an unknown release, a folder in use, and a ledger that does not verify', async () => {
    await storyOfTwoReleases();
    await ledger.close();
    const outDir = join(home, 'out');
    await expect(exportEvidence({ dir, release: 'b-9', outDir })).rejects.toMatchObject({
      code: 'ledger/no-evidence',
      message: expect.stringContaining('b-1, b-2'),
    });
    await mkdir(outDir, { recursive: true });
    await writeFile(join(outDir, 'mine'), '');
    await expect(exportEvidence({ dir, release: 'b-1', outDir })).rejects.toMatchObject({
      code: 'ledger/export-exists',
    });
    await replace(join(dir, 'log', '0000000000000000.jsonl'), '"b-2"', '"b-7"');
    await expect(exportEvidence({ dir, release: 'b-1', outDir: join(home, 'o2') })).rejects.toMatchObject({
      code: 'ledger/tampered',
    });
  });
});

async function replace(path: string, from: string, to: string): Promise<void> {
  const text = await readFile(path, 'utf8');
  expect(text).toContain(from);
  await unlink(path);
  await writeFile(path, text.replace(from, to));
}

describe('attachments', () => {
  it.each(['../x', 'a/b', 'a\\b', '..', 'a\u0000b', 'a\nb', ''])('refuse the name %j', async (name) => {
    await expect(ledger.attach(Buffer.from('x'), { name, type: 't', desc: 'd' })).rejects.toMatchObject({
      code: expect.stringMatching(/ledger\/bad-(name|event)/),
    });
  });

  it('refuse a name that is not UTF-8', async () => {
    const name = Buffer.from([0x61, 0xff, 0x62]).toString('utf8');
    await expect(ledger.attach(Buffer.from('x'), { name, type: 't', desc: 'd' })).rejects.toMatchObject({
      code: 'ledger/bad-name',
    });
    expect(await ledger.attach(Buffer.from('x'), { name: 'größe.txt', type: 't', desc: 'd' })).toMatchObject({
      size: 1,
    });
  });

  it('that are not stored cannot be named by a record', async () => {
    const att = { sha256: 'a'.repeat(64), size: 1, type: 't', name: 'n', desc: 'd' };
    await expect(ledger.append([{ type: 'x.y', stream: 's', data: {}, att: [att] }])).rejects.toMatchObject({
      code: 'ledger/attachment-missing',
    });
  });

  it('altered, missing or replaced by a symlink are found by verify and not exported', async () => {
    const att = await ledger.attach(Buffer.from('content'), { name: 'a.txt', type: 'text/plain', desc: 'd' });
    await ledger.append([evidenceEvent(att, { release: 'b-1', kind: 'file' })]);
    await ledger.close();
    const path = casPath(dir, att.sha256);
    const elsewhere = join(home, 'same-content');
    await writeFile(elsewhere, 'content');
    const expectBad = async (why: RegExp) =>
      expect((await verifyLedger(dir)).firstBad).toMatchObject({
        seq: 1,
        file: `cas/${att.sha256.slice(0, 2)}/${att.sha256}`,
        why: expect.stringMatching(why),
      });
    await unlink(path);
    await expectBad(/missing/);
    await symlink(elsewhere, path);
    await expectBad(/symlink/);
    await expect(ledgerAttach(att.name)).rejects.toMatchObject({ code: 'ledger/strange-entry' });
    await unlink(path);
    await writeFile(path, 'CONTENT');
    await expectBad(/SHA-256/);
  });

  async function ledgerAttach(name: string): Promise<unknown> {
    ledger = await open();
    return ledger.attach(Buffer.from('content'), { name, type: 'text/plain', desc: 'd' });
  }

  it('are added to a closed ledger directly and to an open one through its controller', async () => {
    const file = { bytes: Buffer.from('x'), name: 'x.txt', type: 'text/plain', desc: 'd', release: null };
    const asked: string[] = [];
    const add = () =>
      addEvidence({
        dir,
        file,
        actorId: 'u-1',
        clock,
        viaController: async (att) => {
          asked.push(att.sha256);
          return { seq: 77 };
        },
      });
    expect((await add()).seq).toBe(77);
    expect(asked).toHaveLength(1);
    await ledger.close();
    const { seq } = await add();
    expect((await records())[seq]).toMatchObject({ type: 'evidence.added', actor: { kind: 'person', id: 'u-1' } });
  });

  it('are named for people and for every file system', () => {
    const record = { time: '2025-09-26T22:28:34.123Z' } as LedgerRecord;
    const att = { sha256: '', size: 0, type: '', desc: '', name: 'Prometheus Targets ÄÖ.LOG' };
    expect(evidenceFileName(record, att)).toBe('20250926T222834Z-prometheus-targets-ao.log');
    expect(slugOf('../../etc/passwd')).toBe('etc-passwd');
    expect(slugOf('…')).toBe('unnamed');
  });
});

it('a collector attaches what its sources give, with the record as cause, and survives a failing source', async () => {
  const problems: string[] = [];
  const collector = startCollector(
    ledger,
    [
      {
        kind: 'metrics',
        wants: (record) => record.type === 'release.completed',
        collect: async () => ({
          name: 'metrics.json',
          type: 'application/json',
          desc: 'counters at the verdict',
          content: { n: 1, note: 'has canary-of-the-spec', headers: { cookie: ['a=b'], authorization: 'x' } },
        }),
      },
      {
        kind: 'dashboard',
        wants: (record) => record.type === 'release.completed',
        collect: () => Promise.reject(new Error('no Grafana')),
      },
    ],
    { onProblem: (message) => problems.push(message), secrets: ['canary-of-the-spec'] },
  );
  const [done] = await release('release.completed', 'b-1');
  await collector.stop();
  const collected = (await records()).at(-1)!;
  expect(collected).toMatchObject({
    type: 'evidence.collected',
    cause: done!.id,
    data: { kind: 'metrics', release: 'b-1' },
  });
  expect(await readFile(casPath(dir, collected.att![0]!.sha256), 'utf8')).not.toMatch(/canary|a=b|"x"/);
  expect(problems).toEqual([expect.stringContaining('no Grafana')]);
});

describe('completeness', () => {
  const judge = async () => {
    const check = new CompletenessCheck();
    for (const record of await records()) check.accept(record);
    return check.result();
  };
  const traffic = (type: string, generation: number, extra: JsonObject = {}) =>
    ledger.append([{ type, stream: 'traffic', data: { generation, ...extra } }]);

  it('of a whole story has no gap', async () => {
    await release('release.requested', 'b-1');
    await traffic('traffic.intended', 1);
    await traffic('traffic.applied', 1);
    await release('release.completed', 'b-1');
    await ledger.append([{ type: 'chaos.armed', stream: 'chaos/r1', data: { run: 'r1' } }]);
    await ledger.append([{ type: 'chaos.injected', stream: 'chaos/r1', data: { run: 'r1' } }]);
    await ledger.append([{ type: 'chaos.reverted', stream: 'chaos/r1', data: { run: 'r1' } }]);
    const result = await judge();
    expect(result.ok).toBe(true);
    expect(result.subjects.map(({ kind, toSeq }) => [kind, toSeq])).toEqual([
      ['release', 4],
      ['shift', 3],
      ['fault', 7],
    ]);
  });

  it('names acts without intent, drift, late records and silence', async () => {
    await traffic('traffic.applied', 7);
    await release('release.step.decided', 'b-1');
    await ledger.append([{ type: 'chaos.injected', stream: 'chaos/r1', data: { run: 'r1' } }]);
    await traffic('traffic.drift.detected', 7, { service: 'b', expected: '10 %', found: '50 %' });
    await traffic('traffic.intended', 8, { late: true });
    await traffic('traffic.held', 8, { signs: [{ by: 'witness w', at: 9, says: 'it has cosigned 9 records' }] });
    await clock.advance(200_000);
    await traffic('traffic.intended', 9);
    const result = await judge();
    expect(result.ok).toBe(false);
    expect(result.subjects.filter((s) => s.gaps.length > 0).map((s) => s.name)).toEqual(['generation 7', 'b-1', 'r1']);
    expect(result.drifts).toEqual([{ seq: 4, says: 'b: expected 10 %, found 50 %' }]);
    expect(result.late).toEqual([5]);
    expect(result.losses).toEqual([{ seq: 6, says: 'witness w: it has cosigned 9 records' }]);
    expect(result.silences).toEqual([expect.objectContaining({ afterSeq: 6, kind: 'silent' })]);
  });

  it('a heartbeat makes idleness different from absence', async () => {
    const idle = await openMemoryLedger({ clock });
    const check = new CompletenessCheck();
    const heartbeat = startHeartbeat(idle, clock, () => undefined);
    await clock.advance(30_000);
    await idle.append([{ type: 'release.requested', stream: 'release/b-1', data: { release: 'b-1' } }]);
    for (let i = 0; i < 30; i++) await clock.advance(10_000);
    heartbeat.stop();
    const types: string[] = [];
    for await (const record of idle.read(0)) {
      check.accept(record);
      types.push(record.type);
    }
    expect(types.filter((type) => type === 'ledger.heartbeat')).toHaveLength(5);
    expect(check.result()).toMatchObject({ ok: true, silences: [] });
  });

  it('a stop between two writers is named as such and is no gap', async () => {
    await release('release.requested', 'b-1');
    await ledger.close();
    await clock.advance(600_000);
    ledger = await open();
    await release('release.completed', 'b-1');
    expect(await judge()).toMatchObject({ ok: true, silences: [{ afterSeq: 1, kind: 'stopped' }] });
  });
});

describe('keys and clocks', () => {
  it('a checkpoint of another ledger and a key that is not expected are refused', async () => {
    const other = await openFileLedger({
      dir: join(home, 'other'),
      system: 'else',
      writerId: 'w',
      clock,
      reserveBytes: 64,
    });
    const foreign = await other.checkpoint();
    await other.close();
    await release('release.requested', 'b-1');
    await ledger.close();
    await expect(verifyLedger(dir, { from: foreign })).rejects.toMatchObject({ code: 'ledger/checkpoint-origin' });
    expect(await verifyLedger(dir, { vkey: other.vkey })).toMatchObject({ ok: false, firstBad: { seq: 0 } });
    await expect(verifyLedger(join(home, 'nowhere'))).rejects.toMatchObject({ code: 'ledger/not-a-ledger' });
  });

  it('a clock that steps back is a finding, not an alteration', async () => {
    await release('release.requested', 'b-1');
    clock.stepWall(-3_600_000);
    await release('release.completed', 'b-1');
    await ledger.close();
    expect(await verifyLedger(dir)).toMatchObject({
      ok: true,
      warnings: [{ code: 'ledger/clock-stepped-back', seq: 2 }],
    });
  });
});

it('a ledger that lost records is continued only with an explicit word, under a new origin that says so', async () => {
  for (let n = 0; n < 5; n++) await release('release.requested', `b-${n}`);
  const oldOrigin = ledger.origin;
  await ledger.close();
  const path = join(dir, 'log', '0000000000000000.jsonl');
  const lines = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, `${lines.slice(0, 4).join('\n')}\n`);
  await expect(open()).rejects.toMatchObject({ code: 'ledger/truncated' });
  const options = {
    dir,
    system: 'shop',
    writerId: 'w',
    clock,
    reserveBytes: 64,
    reason: 'disk died',
    actor: { kind: 'person' as const, id: 'u-1' },
  };
  await expect(continueLedger({ ...options, acceptLoss: false })).rejects.toMatchObject({
    code: 'ledger/loss-not-accepted',
  });
  const continued = await continueLedger({ ...options, acceptLoss: true });
  expect(continued).toMatchObject({ parentOrigin: oldOrigin, keptRecords: 4, lostRecords: 2 });
  expect(continued.origin).not.toBe(oldOrigin);
  ledger = await open();
  const [first, second] = await records();
  expect(first!.data.parent).toMatchObject({ origin: oldOrigin, size: 4 });
  expect(second).toMatchObject({ type: 'ledger.continued', data: { lost_records: 2, reason: 'disk died' } });
  expect((await verifyLedger(dir)).ok).toBe(true);
});

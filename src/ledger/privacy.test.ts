import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { evidenceEvent } from './evidence.ts';
import { exportEvidence } from './export.ts';
import { type FileLedger, openFileLedger } from './file-ledger.ts';
import type { Ledger } from './ledger.ts';
import type { NewEvent } from './record.ts';
import { Scrubber } from './scrub.ts';
import { commitmentOf, Vault } from './vault.ts';
import { verifyLedger } from './verify.ts';

const actor = { kind: 'person' as const, id: 'u-1' };
let home = '';
let dir = '';
let ledger: FileLedger;
const SPEC_SECRET = 'canary-spec-5ecret-0123';

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-privacy-'));
  dir = join(home, 'ledger');
  const clock = createVirtualClock();
  ledger = await openFileLedger({
    dir,
    system: 'shop',
    writerId: 'w',
    clock,
    reserveBytes: 64,
    secrets: [SPEC_SECRET],
  });
});
afterEach(async () => {
  await ledger.close();
  await rm(home, { recursive: true, force: true });
});

async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

async function expectNowhere(folders: string[], canaries: string[]): Promise<void> {
  for (const folder of folders) {
    for (const path of await filesUnder(folder)) {
      const text = await readFile(path, 'latin1');
      for (const canary of canaries) expect(text.includes(canary), `${canary} in ${path}`).toBe(false);
    }
  }
}

describe('what goes into a record', () => {
  it.each([
    ['an authorization header', 'Authorization: Bearer canary.abcdefgh12345', 'canary.abcdefgh12345'],
    ['a JSON Web Token', 'got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl back', 'eyJzdWIiOiJjYW5hcnkifQ'],
    ['a cloud key', 'key AKIACANARY0CANARY000 used', 'AKIACANARY0CANARY000'],
    ['a password in a URL', 'http://bob:c4naryPass@127.0.0.1:9/x', 'c4naryPass'],
    ['an e-mail address', 'rolled back by jane.canary@example.com today', 'jane.canary@example.com'],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nMIIcanary\n-----END PRIVATE KEY-----', 'MIIcanary'],
    ['a secret of the spec', `env has ${SPEC_SECRET}!`, SPEC_SECRET],
  ])('loses %s and keeps the rest', async (_, text, canary) => {
    const [record] = await ledger.append([{ type: 'release.paused', stream: 'release/b-1', data: { reason: text } }]);
    expect(record!.data.reason).toContain('[removed]');
    await ledger.close();
    await expectNowhere([dir], [canary]);
  });

  it.each([
    'sha256:0123abcd',
    'registry.example/shop@sha256:ab',
    'http://127.0.0.1:9101/q',
    'service-b@1.2.3',
    '5 % of 900/s',
    'basic',
  ])('keeps the ordinary %j', (text) => expect(new Scrubber().text(text)).toBe(text));

  it('a field that is a secret by its name is emptied whatever its value', async () => {
    const data = {
      headers: { Cookie: 'sid=canary1', 'x-api-key': 'canary2', accept: 'text/html' },
      password: 'canary3',
    };
    const [record] = await ledger.append([{ type: 'a.b', stream: 's', data }]);
    expect(record!.data).toEqual({
      headers: { Cookie: '[removed]', 'x-api-key': '[removed]', accept: 'text/html' },
      password: '[removed]',
    });
  });

  it('planted canaries are nowhere: not in the ledger, an export, or an error', async () => {
    const canaries = [SPEC_SECRET, 'canary.header.token', 'canary-body-Passw0rd', 'canary.person@example.org'];
    const data = {
      release: 'b-1',
      request: { authorization: `Bearer ${canaries[1]}`, body: { password: canaries[2]! } },
      by: canaries[3]!,
      note: `started with ${SPEC_SECRET}`,
    };
    const att = await ledger.attach(Buffer.from('harmless'), {
      name: `notes of ${canaries[3]}.txt`,
      type: 'text/plain',
      desc: `from ${canaries[3]}`,
    });
    await ledger.append([
      { type: 'release.requested', stream: 'release/b-1', data, actor: { kind: 'person', id: canaries[3]! } },
    ]);
    await ledger.append([evidenceEvent(att, { release: 'b-1', kind: 'file', actor })]);
    const refused = await ledger
      .append([{ type: 'a.b', stream: 's', data: { password: canaries[2]!, n: Number.NaN } }])
      .catch((e: unknown) => e);
    for (const canary of canaries) expect(String((refused as Error).message)).not.toContain(canary);
    await ledger.close();
    const outDir = join(home, 'out');
    await exportEvidence({ dir, release: 'b-1', outDir });
    await expectNowhere([dir, outDir], canaries);
    const { stdout } = await promisify(execFile)(join(outDir, 'verify.sh'));
    expect(stdout).toContain('RESULT ok');
  });
});

describe('the vault', () => {
  it('keeps a value out of the chain and proves it by its commitment', async () => {
    const vault = new Vault({ dir });
    const sd = await vault.conceal('u-7', { name: 'Jane Canary', ip: '192.0.2.7' });
    await ledger.append([{ type: 'approval.given', stream: 'release/b-1', data: {}, sd }]);
    const revealed = await vault.reveal(sd[0]!);
    expect(revealed).toMatchObject({ name: 'name', value: 'Jane Canary' });
    expect(commitmentOf(revealed.disclosure)).toBe(sd[0]);
    await ledger.close();
    await expectNowhere([dir], ['Jane Canary', '192.0.2.7', Buffer.from('Jane Canary').toString('base64')]);
  });

  it('forgets one person for good, the other not, and the ledger still verifies', async () => {
    const vault = new Vault({ dir });
    const jane = await vault.conceal('jane', { name: 'Jane' });
    const joe = await vault.conceal('joe', { name: 'Joe' });
    await ledger.append([{ type: 'a.b', stream: 's', data: {}, sd: [...jane, ...joe] }]);
    expect(await vault.erase('jane', ledger, { actor, basis: 'GDPR Art. 17' })).toMatchObject({ commitments: jane });
    await expect(vault.reveal(jane[0]!)).rejects.toMatchObject({ code: 'ledger/erased' });
    expect(await vault.reveal(joe[0]!)).toMatchObject({ value: 'Joe' });
    await ledger.close();
    expect((await verifyLedger(dir)).ok).toBe(true);
  });

  it.each<[string, (ledger: FileLedger) => Ledger]>([
    ['nothing was written', () => ({ append: () => Promise.reject(new Error('disk full')) }) as unknown as Ledger],
    [
      'nobody knows whether it was written',
      (real) =>
        ({
          append: async (events: NewEvent[]) => real.append(events).then(() => Promise.reject(new Error('EIO'))),
        }) as unknown as Ledger,
    ],
  ])('an erasure whose record failed when %s is unreadable at once and ended by asking again', async (_, failing) => {
    const vault = new Vault({ dir });
    const jane = await vault.conceal('jane', { name: 'Jane', role: 'approver' });
    const about = { actor, basis: 'GDPR Art. 17' };
    await expect(vault.erase('jane', failing(ledger), about)).rejects.toThrow();
    await expect(vault.reveal(jane[0]!)).rejects.toMatchObject({ code: 'ledger/erased' });
    const again = await vault.erase('jane', ledger, about);
    expect([...again.commitments].sort()).toEqual([...jane].sort());
    await expect(vault.erase('jane', ledger, about)).rejects.toMatchObject({ code: 'ledger/erased' });
    for await (const record of ledger.read(again.seq)) expect(record.data).toMatchObject({ basis: 'GDPR Art. 17' });
  });

  it('erases the key of somebody whose values lie with the ledger that this one continues', async () => {
    const before = new Vault({ dir });
    const [commitment] = await before.conceal('jane', { name: 'Jane' });
    await rename(join(dir, 'vault'), join(home, 'moved'));
    expect(await before.erase('jane', ledger, { actor, basis: 'GDPR Art. 17' })).toMatchObject({ commitments: [] });
    await rename(join(home, 'moved'), join(dir, 'vault'));
    await expect(before.reveal(commitment!)).rejects.toMatchObject({ code: 'ledger/erased' });
  });

  it('names every value of somebody who had more of them than one record holds', async () => {
    const vault = new Vault({ dir });
    const conceal = (n: number) =>
      vault.conceal('jane', Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${n}.${i}`, 'x'])));
    const all = (await Promise.all(Array.from({ length: 21 }, (_, n) => conceal(n)))).flat();
    const { seq } = await vault.erase('jane', ledger, { actor, basis: 'GDPR Art. 17' });
    const named: unknown[] = [];
    for await (const { data } of ledger.read(seq)) named.push(...(data.commitments as string[]));
    expect(new Set(named)).toEqual(new Set(all));
  });

  it.each([
    ['no field', {}],
    ['a name that is a sentence', { 'Jane Canary, born': '1' }],
    ['a value that is too long', { name: 'x'.repeat(10_001) }],
  ])('refuses %s and says nothing of the value', async (_, fields) => {
    await expect(new Vault({ dir }).conceal('u', fields)).rejects.toMatchObject({ code: 'ledger/bad-event' });
  });

  it('gives equal values different commitments', async () => {
    const vault = new Vault({ dir });
    const [a, b] = [await vault.conceal('u', { name: 'x' }), await vault.conceal('u', { name: 'x' })];
    expect(a).not.toEqual(b);
  });
});

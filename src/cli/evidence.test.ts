import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openFileLedger } from '../ledger/file-ledger.ts';
import { parseVerifierKey } from '../ledger/keys.ts';
import { nodeDisk } from '../ledger/node-disk.ts';
import { nodesOfTiles } from '../ledger/node-source.ts';
import { requestCosignature } from '../ledger/witness-client.ts';
import { DavyError } from '../lib/error.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { register } from './evidence.ts';
import type { CliIo } from './io.ts';
import { register as registerWitness } from './witness.ts';

const clock = createVirtualClock();
let home = '';
let checkpoint = '';
let vkey = '';

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-cli-'));
  const dir = join(home, '.davy', 'ledger');
  const ledger = await openFileLedger({ dir, system: 'shop', writerId: 'w', clock, reserveBytes: 64 });
  const release = (type: string) =>
    ledger.append([{ type, stream: 'release/b-1', data: { release: 'b-1', reason: 'because' } }]);
  await release('release.requested');
  checkpoint = await ledger.checkpoint();
  await release('release.completed');
  vkey = ledger.vkey;
  await ledger.close();
});
afterEach(() => rm(home, { recursive: true, force: true }));

async function davy(...argv: string[]): Promise<{ out: string; said: string; exitCode: number }> {
  const stop = new AbortController();
  const result = { out: '', said: '', exitCode: 0 };
  const io: CliIo = {
    out: (text) => {
      result.out += text;
    },
    say: (text) => {
      result.said += text;
    },
    env: { DAVY_ACTOR: 'u-1', HOME: home },
    cwd: home,
    interactive: false,
    columns: () => 80,
    color: false,
    clock,
    signal: stop.signal,
    exitCode: 0,
  };
  const program = new Command().exitOverride();
  register(program, io);
  try {
    await program.parseAsync(['evidence', ...argv], { from: 'user' });
    result.exitCode = io.exitCode;
  } catch (error) {
    if (!(error instanceof DavyError)) throw error;
    result.exitCode = error.kind.exit;
    result.said += error.code;
  }
  return result;
}

describe('davy evidence', () => {
  it('verify says what holds, and exits 1 with the first bad seq when altered', async () => {
    await writeFile(join(home, 'kept'), checkpoint);
    const fine = await davy('verify', '--from', 'kept', '--key', vkey);
    expect(fine).toMatchObject({ exitCode: 0, out: expect.stringContaining('ok: 3 records') });
    expect((await davy('verify', '--quick')).out).toContain('the links of 3 records hold');
    const path = join(home, '.davy', 'ledger', 'log', '0000000000000000.jsonl');
    await writeFile(path, (await readFile(path, 'utf8')).replace('because', 'be cause'));
    const altered = await davy('verify', '-o', 'json');
    expect(altered.exitCode).toBe(1);
    expect(JSON.parse(altered.out)).toMatchObject({ schemaVersion: 1, ok: false, firstBad: { seq: 1 } });
    expect(await davy('verify', '--offline', '.davy/ledger', '--quick')).toMatchObject({
      exitCode: 1,
      out: expect.stringContaining('record 1 in log/'),
    });
  });

  it('verify --quick finds a last record cut off: by the checkpoint, and without one by the clean end', async () => {
    const path = join(home, '.davy', 'ledger', 'log', '0000000000000000.jsonl');
    const lines = (await readFile(path, 'utf8')).split('\n');
    await writeFile(path, `${lines.slice(0, -2).join('\n')}\n`);
    const cut = { exitCode: 1, out: expect.stringContaining('record 2 in log/') };
    expect(await davy('verify', '--quick')).toMatchObject(cut);
    await rm(join(home, '.davy', 'ledger', 'checkpoint'));
    await rm(join(home, '.davy', 'ledger', 'checkpoints'), { recursive: true, force: true });
    expect(await davy('verify', '--quick')).toMatchObject(cut);
    await rm(join(home, '.davy', 'ledger', 'terms'), { recursive: true });
    expect((await davy('verify', '--quick')).out).toContain('the links of 2 records hold');
    await writeFile(join(home, '.davy', 'ledger', 'checkpoint'), 'none');
    expect(await davy('verify', '--quick')).toMatchObject({ exitCode: 1 });
  });

  it('what is given wrongly is a usage error, never a ledger that was altered', async () => {
    expect(await davy('verify', '--from', 'nowhere')).toMatchObject({ exitCode: 2, said: 'cli/usage' });
    expect(await davy('verify', '--key', 'zzz')).toMatchObject({ exitCode: 2, said: 'cli/usage' });
    expect(await davy('verify', '--witness', vkey, 'zzz')).toMatchObject({ exitCode: 2, said: 'cli/usage' });
  });

  it('verify of a folder without a ledger is a usage error', async () => {
    expect(await davy('verify', '--offline', 'nowhere')).toMatchObject({ exitCode: 2, said: 'ledger/not-a-ledger' });
  });

  it('add, list, show, explain, export and completeness tell one story', async () => {
    await writeFile(join(home, 'Load Report.txt'), 'p95 210 ms');
    const added = await davy('add', 'Load Report.txt', '-d', 'load at 900 rps', '--release', 'b-1', '-o', 'json');
    const { seq, att } = JSON.parse(added.out) as { seq: number; att: { sha256: string } };
    expect((await davy('list', 'b-1')).out).toContain('load at 900 rps');
    expect((await davy('show', att.sha256)).out).toBe('p95 210 ms');
    expect(JSON.parse((await davy('show', String(seq))).out)).toMatchObject({
      type: 'evidence.added',
      actor: { id: 'u-1' },
    });
    expect((await davy('show', att.sha256.slice(0, 16))).out).toBe('p95 210 ms');
    expect((await davy('explain', 'b-1')).out).toMatch(
      /release\.requested +because[\s\S]*evidence\.added +person u-1 +Load Report\.txt: load at 900 rps/,
    );
    expect(await davy('completeness')).toMatchObject({ exitCode: 0, out: expect.stringContaining('releases: 1 of 1') });
    expect((await davy('export', 'b-1', '-o', 'out')).out).toContain('3 records, 1 files, 3 proofs');
    expect(await readdir(join(home, 'out'))).toEqual(
      expect.arrayContaining(['README.md', 'verify.sh', 'SHA256SUMS', 'proofs']),
    );
  });

  it('a file that is not text is not spilled onto the terminal', async () => {
    await writeFile(join(home, 'image.png'), Buffer.from([0x89, 0x50, 0xff, 0x00]));
    const { att } = JSON.parse((await davy('add', 'image.png', '-d', 'a chart', '-o', 'json')).out);
    expect(await davy('show', att.sha256)).toMatchObject({ exitCode: 2, out: '', said: 'cli/usage' });
  });

  it('rotate-key hands over to a new key, and keys tells who signed what', async () => {
    const rotated = await davy('rotate-key', '--reason', 'left the company');
    expect(rotated).toMatchObject({ exitCode: 0, said: expect.stringContaining('signs from 4 records on') });
    const { keys } = JSON.parse((await davy('keys', '-o', 'json')).out);
    expect(keys).toMatchObject([
      { fromSize: 0, vkey },
      { fromSize: 4, vkey: rotated.out.trim(), by: 'u-1', reason: 'left the company' },
    ]);
    expect((await davy('keys')).out).toMatch(/^from 0 records .*\nfrom 4 records .* u-1 +left the company/);
    expect((await davy('verify', '--key', vkey)).exitCode).toBe(0);
  });

  it('conceal, disclose and erase keep a name out of the ledger, prove it, and forget it', async () => {
    await writeFile(join(home, 'who.json'), '{"approver":"Jane Canary","desk":"4-12"}');
    const concealed = await davy(
      'conceal',
      'u-7',
      'who.json',
      '--release',
      'b-1',
      '--reason',
      'approval',
      '-o',
      'json',
    );
    const { seq, commitments } = JSON.parse(concealed.out) as { seq: number; commitments: string[] };
    expect(JSON.parse((await davy('show', String(seq))).out)).toMatchObject({
      data: { fields: ['approver', 'desk'], release: 'b-1' },
      sd: commitments,
    });
    const { disclosures } = JSON.parse((await davy('disclose', 'u-7', '-o', 'json')).out);
    expect(disclosures).toHaveLength(2);
    const one = await davy('disclose', commitments[0]!);
    expect(one.out).toContain(`record ${seq}  approver  Jane Canary`);
    const [, disclosure = '', commitment = ''] = one.out.split('\n').map((line) => line.trim());
    expect(createHash('sha256').update(disclosure).digest('base64url')).toBe(commitment);
    expect(await davy('erase', 'u-7', '--basis', 'GDPR Art. 17')).toMatchObject({
      exitCode: 0,
      out: expect.stringMatching(/^2 values erased, record \d+\n$/),
    });
    expect((await davy('disclose', commitments[0]!)).said).toBe('ledger/erased');
    expect(await davy('erase', 'u-7', '--basis', 'GDPR Art. 17')).toMatchObject({ exitCode: 2, said: 'ledger/erased' });
    expect((await davy('verify')).exitCode).toBe(0);
    const ledger = await readFile(join(home, '.davy', 'ledger', 'log', '0000000000000000.jsonl'), 'utf8');
    expect(ledger).not.toMatch(/Jane|4-12|u-7/);
  });

  it('what only the controller may write goes to it while it runs, and an unreachable one changes nothing', async () => {
    const ledger = await openFileLedger({ dir: join(home, '.davy', 'ledger'), system: 'shop', writerId: 'w', clock });
    await writeFile(join(home, 'who.json'), '{"approver":"Jane"}');
    const size = ledger.head().size;
    for (const argv of [
      ['rotate-key', '--reason', 'r'],
      ['conceal', 'u-7', 'who.json', '--reason', 'r'],
      ['erase', 'u-7', '--basis', 'b'],
    ]) {
      expect(await davy(...argv, '--url', 'http://127.0.0.1:9')).toMatchObject({
        exitCode: 6,
        said: 'cli/unreachable',
      });
    }
    expect([ledger.head().size, ledger.vkey]).toEqual([size, vkey]);
    await ledger.close();
  });

  it.each([
    [['disclose', 'nobody'], 2, 'ledger/erased'],
    [['conceal', 'u-7', 'missing.json', '--reason', 'r'], 2, 'cli/usage'],
    [['rotate-key', '--reason', 'r', '--data', 'nowhere'], 2, 'ledger/not-a-ledger'],
    [['erase', 'u-7', '--basis', 'b', '--data', 'nowhere'], 2, 'ledger/not-a-ledger'],
    [['show', '0123456789abcdef'], 2, 'ledger/no-evidence'],
    [['show', '99'], 2, 'ledger/no-evidence'],
    [['show', 'x'], 2, 'cli/usage'],
    [['explain', 'b-9'], 2, 'ledger/no-evidence'],
    [['export', '-o', 'out'], 2, 'cli/usage'],
    [['export', 'b-1', '--all', '-o', 'out'], 2, 'cli/usage'],
    [['add', 'missing', '-d', 'x'], 2, 'cli/usage'],
    [['continue', '--system', 'shop', '--reason', 'x'], 5, 'ledger/loss-not-accepted'],
  ])('%j is refused', async (argv, exitCode, said) => {
    expect(await davy(...argv)).toMatchObject({ exitCode, said });
  });
});

it('davy witness serves until it is told to stop', async () => {
  const stop = new AbortController();
  let out = '';
  let url = '';
  const program = new Command().exitOverride();
  const serving = new Promise<void>((resolve) => {
    registerWitness(program, {
      out: (text: string) => {
        out += text;
      },
      say: (text: string) => {
        url = /http:\/\/[0-9.:]+/.exec(text)?.[0] ?? url;
        resolve();
      },
      cwd: home,
      clock,
      signal: stop.signal,
    } as unknown as CliIo);
  });
  const done = program.parseAsync(
    ['witness', '--data', 'w', '--name', 'audit.example/w', '--log', vkey, '--port', '0'],
    { from: 'user' },
  );
  await serving;
  const target = { url, verifier: parseVerifierKey(out) };
  const node = nodesOfTiles(nodeDisk, join(home, '.davy', 'ledger'), 2);
  expect((await requestCosignature(target, checkpoint, node, 0)).timeSec).toBeGreaterThan(0);
  stop.abort();
  await done;
});

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
    expect((await davy('explain', 'b-1')).out).toMatch(/release\.requested.*because[\s\S]*Load Report\.txt/);
    expect(await davy('completeness')).toMatchObject({ exitCode: 0, out: expect.stringContaining('releases: 1 of 1') });
    expect((await davy('export', 'b-1', '-o', 'out')).out).toContain('3 records, 1 files, 3 proofs');
    expect(await readdir(join(home, 'out'))).toEqual(
      expect.arrayContaining(['README.md', 'verify.sh', 'SHA256SUMS', 'proofs']),
    );
  });

  it.each([
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

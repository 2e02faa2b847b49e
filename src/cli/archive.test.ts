import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { casPath } from '../ledger/cas.ts';
import { openFileLedger } from '../ledger/file-ledger.ts';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { archive } from './archive.ts';
import type { CliIo } from './io.ts';

const clock = createVirtualClock();
let home = '';
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-archive-'));
  const dir = join(home, 'ledger');
  await (await openFileLedger({ dir, system: 'shop', writerId: 'w', clock, reserveBytes: 64 })).close();
});
afterEach(() => rm(home, { recursive: true, force: true }));

const load = {
  targets: [
    {
      url: 'http://bob:c4naryPass@127.0.0.1:8000/?api_key=c4naryKey&page=2',
      headers: { authorization: 'c4naryHeader', 'x-auth-token': ['c4naryToken'], accept: 'text/html' },
    },
  ],
  byWhom: 'jane.c4nary@example.org',
};

it.each([
  ['a load result', 'application/json', JSON.stringify(load)],
  [
    'a report',
    'text/markdown',
    'by jane.c4nary@example.org: GET /?access_token=c4naryKey&page=2 with Bearer c4nary.token.1',
  ],
])('%s that Davy keeps by itself has lost its secrets and kept the rest', async (_, type, content) => {
  const io = { cwd: home, env: { DAVY_ACTOR: 'u-1', HOME: home }, clock } as unknown as CliIo;
  const file = { name: 'result', type, desc: 'of jane.c4nary@example.org', content, kind: 'load' };
  const { sha256 } = await archive(io, { port: 1, data: home }, file);
  const kept = await readFile(casPath(join(home, 'ledger'), sha256), 'utf8');
  expect(kept).not.toContain('c4nary');
  expect(kept).toContain('[removed]');
  expect(kept).toContain('page=2');
  const log = await readFile(join(home, 'ledger', 'log', '0000000000000000.jsonl'), 'utf8');
  expect(log).not.toContain('c4nary');
});

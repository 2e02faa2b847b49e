import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { openFileLedger } from './file-ledger.ts';
import { verifyLedger } from './verify.ts';

const APPENDER = fileURLToPath(new URL('./testing/appender.ts', import.meta.url));
let home = '';
let dir = '';

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'davy-kill-'));
  dir = join(home, 'ledger');
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** Runs a writer until it has acknowledged `count` records, then kills it in the middle of its work. */
async function killedWriter(count: number): Promise<Map<number, string>> {
  const child = spawn(process.execPath, [APPENDER, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const acknowledged = new Map<number, string>();
  for await (const line of createInterface({ input: child.stdout })) {
    const [seq, id] = line.split(' ');
    if (seq !== undefined && id !== undefined && id.length === 36) acknowledged.set(Number(seq), id);
    if (acknowledged.size >= count) child.kill('SIGKILL');
  }
  await exited;
  return acknowledged;
}

it('what a killed process had acknowledged is there, whole appends only, and the next writer goes on', async () => {
  const acknowledged = new Map<number, string>();
  for (const count of [100, 500, 900]) {
    for (const [seq, id] of await killedWriter(count)) acknowledged.set(seq, id);
  }
  const ledger = await openFileLedger({
    dir,
    system: 'shop',
    writerId: 'w',
    clock: createVirtualClock(),
    reserveBytes: 64,
  });
  expect(ledger.head().term).toBe(4);
  const found = new Map<number, string>();
  let open = 0;
  for await (const record of ledger.read(0)) {
    found.set(record.seq, record.id);
    open += record.tx[0] === record.tx[1] ? -(record.tx[1] - 1) : 1;
  }
  expect(open).toBe(0);
  for (const [seq, id] of acknowledged) expect(found.get(seq)).toBe(id);
  await ledger.close();
  expect((await verifyLedger(dir)).ok).toBe(true);
});

it('a second process is refused while the first writes', async () => {
  const ledger = await openFileLedger({
    dir,
    system: 'shop',
    writerId: 'w',
    clock: createVirtualClock(),
    reserveBytes: 64,
  });
  const child = spawn(process.execPath, [APPENDER, dir], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (part: Buffer) => {
    said += part.toString('utf8');
  });
  const [code] = await once(child, 'exit');
  expect(code).not.toBe(0);
  expect(said).toContain('is open in another process');
  await ledger.close();
});

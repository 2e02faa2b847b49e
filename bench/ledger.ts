import { createHash, hash } from 'node:crypto';
import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Disk } from '../src/ledger/disk.ts';
import { type FileLedger, openFileLedger } from '../src/ledger/file-ledger.ts';
import { nodeDisk } from '../src/ledger/node-disk.ts';
import type { NewEvent } from '../src/ledger/record.ts';
import { verifyLedger } from '../src/ledger/verify.ts';
import { verifyChain } from '../src/ledger/verify-chain.ts';
import { systemClock } from '../src/lib/clock.ts';
import { SlowDisk, slowFlushSync } from './ledger/slow-disk.ts';

/**
 * `npm run bench:ledger [-- --records 1000000 --dir DIR --slow-flushes 6000,3000 --append-only | --read-only]`: the ledger against
 * the machine's own limits, measured in the same run, in turns, because disks and neighbours change from minute to minute.
 * Figures are medians of the rounds. Further tables make every flush slower, for the raw loop and the ledger alike, until the
 * raw loop does about `--slow-flushes` per second (empty: none): ordinary disks, where the first may be a fast one.
 */
const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '1000000' },
    dir: { type: 'string' },
    rounds: { type: 'string', default: '7' },
    'slow-flushes': { type: 'string', default: '6000,3000' },
    'append-only': { type: 'boolean', default: false },
    'read-only': { type: 'boolean', default: false },
  },
});
const RECORDS = Number(values.records);
const ROUNDS = Number(values.rounds);
const SLOW_FLUSHES = values['slow-flushes'].split(',').filter(Boolean).map(Number);
const READ_ROUNDS = 5;
const ROUND_MS = 700;
const home = mkdtempSync(join(values.dir ?? tmpdir(), 'davy-bench-'));

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)]!;
const count = (n: number): string => Math.round(n).toLocaleString('en');

function eventOf(i: number): NewEvent {
  return {
    type: 'release.look.judged',
    stream: `release/service-${i % 10_000}-1`,
    data: { step: 2, weightBp: 2500, canary: [i, 3], stable: [90_210, 12], verdict: 'continue' },
  };
}

/** The peer of every append figure: one write and one fdatasync after the other, in one thread, nothing else. */
function rawRate(bytes: number, extraMs = 0, roundMs = ROUND_MS): number {
  const fd = openSync(join(home, 'raw'), 'a');
  const line = Buffer.alloc(bytes, 65);
  const start = performance.now();
  let n = 0;
  for (; performance.now() - start < roundMs; n++) {
    writeSync(fd, line);
    slowFlushSync(fd, extraMs);
  }
  const rate = (n / (performance.now() - start)) * 1000;
  closeSync(fd);
  rmSync(join(home, 'raw'));
  return rate;
}

/** What a flush must take longer for the raw loop to do `target` per second; 0 when it does fewer anyway. */
function extraMsFor(target: number): number {
  let extraMs = 0;
  for (let round = 0; round < 8; round++) {
    extraMs = Math.max(0, extraMs + 1000 / target - 1000 / rawRate(410, extraMs, 250));
  }
  return extraMs;
}

async function appendRate(ledger: FileLedger, callers: number): Promise<number> {
  let n = 0;
  const start = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() - start < ROUND_MS) {
      await ledger.append([eventOf(n)]);
      n += 1;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return (n / (performance.now() - start)) * 1000;
}

function streamMBps(): number {
  const block = Buffer.alloc(1024 * 1024, 7);
  const digest = createHash('sha256');
  const start = performance.now();
  for (let i = 0; i < 512; i++) digest.update(block);
  digest.digest();
  return (512 * block.length) / (performance.now() - start) / 1000;
}

const open = (name: string, disk: Disk = nodeDisk): Promise<FileLedger> =>
  openFileLedger({
    disk,
    dir: join(home, name),
    system: 'bench',
    writerId: 'bench',
    clock: systemClock,
    reserveBytes: 65_536,
  });

/** One flush after the other without a ledger, but awaited: what one caller can reach while the event loop stays free. */
function awaitedRate(bytes: number): Promise<number> {
  const fd = openSync(join(home, 'raw'), 'a');
  const line = Buffer.alloc(bytes, 65);
  const start = performance.now();
  let n = 0;
  return new Promise((resolve) => {
    const flush = (): void => {
      if (performance.now() - start >= ROUND_MS) {
        closeSync(fd);
        rmSync(join(home, 'raw'));
        resolve((n / (performance.now() - start)) * 1000);
        return;
      }
      n += 1;
      writeSync(fd, line);
      fdatasync(fd, flush);
    };
    flush();
  });
}

/** Records per second when nothing but their two hashes were computed: the leaf, and one node of the tree for each. */
function hashesRate(bytes: number): number {
  const line = 'A'.repeat(bytes);
  const node = Buffer.alloc(65, 1);
  const start = performance.now();
  let n = 0;
  for (; performance.now() - start < ROUND_MS; n++) {
    hash('sha256', line, 'hex');
    hash('sha256', node, 'hex');
  }
  return (n / (performance.now() - start)) * 1000;
}

/** What no ledger on this machine passes, each beside a raw loop of the same moment; medians of the rounds. */
async function printFloors(bytes: number): Promise<void> {
  const rates = new Map<string, number[]>();
  const ratios = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    const raw = rawRate(bytes);
    const hashes = hashesRate(bytes);
    const note = (what: string, rate: number): void => {
      rates.set(what, [...(rates.get(what) ?? []), rate]);
      ratios.set(what, [...(ratios.get(what) ?? []), rate / raw]);
    };
    note('one awaited write + fdatasync after the other', await awaitedRate(bytes));
    for (const callers of [16, 128]) {
      const lines = rawRate(bytes * callers) * callers;
      note(`raw loop with ${callers} lines per write`, lines);
      note(`${callers} lines per write and two SHA-256 per line`, 1 / (1 / lines + 1 / hashes));
    }
    note('two SHA-256 per line, no disk', hashes);
  }
  for (const [what, measured] of rates) {
    const ratio = median(ratios.get(what)!).toFixed(2);
    console.log(`  limit: ${what.padEnd(50)} ${count(median(measured)).padStart(9)}/s   ${ratio} of raw`);
  }
}

/** `slowFlushes`: flushes per second that the raw loop is slowed to; 0 takes the disk as it is. */
async function benchAppend(slowFlushes = 0): Promise<void> {
  const extraMs = slowFlushes > 0 ? extraMsFor(slowFlushes) : 0;
  const slow = extraMs > 0 ? new SlowDisk(extraMs) : null;
  const ledger = await open(`append-${slowFlushes}`, slow?.disk);
  await appendRate(ledger, 16);
  const { size } = ledger.head();
  let bytes = 0;
  for await (const record of ledger.read(Math.max(1, size - 100))) bytes += JSON.stringify(record).length + 1;
  const lineBytes = Math.round(bytes / Math.min(100, size - 1));
  const levels = [1, 16, 128, 1_024];
  const rates = new Map<number, number[]>(levels.map((callers) => [callers, []]));
  const ratios = new Map<number, number[]>(levels.map((callers) => [callers, []]));
  const raws: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const callers of levels) {
      const before = rawRate(lineBytes, extraMs);
      const rate = await appendRate(ledger, callers);
      const raw = (before + rawRate(lineBytes, extraMs)) / 2;
      raws.push(raw);
      rates.get(callers)!.push(rate);
      ratios.get(callers)!.push(rate / raw);
    }
  }
  await ledger.close();
  await slow?.close();
  const which = slow ? `flushes ${extraMs.toFixed(3)} ms slower for both` : 'this disk';
  console.log(
    `\nappend, ${which}, ${lineBytes} B lines; raw write + fdatasync: ${count(median(raws))}/s (1 per flush)`,
  );
  for (const callers of levels) {
    const ratio = median(ratios.get(callers)!);
    console.log(
      `  ${String(callers).padStart(5)} callers  ${count(median(rates.get(callers)!)).padStart(9)}/s   ${ratio.toFixed(2)} of raw   (best round ${Math.max(...ratios.get(callers)!).toFixed(2)})`,
    );
  }
  if (!slow) await printFloors(lineBytes);
}

async function fill(): Promise<string> {
  const ledger = await open('long');
  for (let i = 0; i < RECORDS - 1; ) {
    const batch: Promise<unknown>[] = [];
    for (; batch.length < 2_048 && i < RECORDS - 1; i++) batch.push(ledger.append([eventOf(i)]));
    await Promise.all(batch);
  }
  await ledger.close();
  return join(home, 'long');
}

/** Rounds of the peer and the thing measured, in turns. */
async function compare(name: string, bytes: number, work: () => Promise<void>): Promise<void> {
  const ratios: number[] = [];
  const seconds: number[] = [];
  const peers: number[] = [];
  for (let round = 0; round < READ_ROUNDS; round++) {
    const peer = streamMBps();
    const start = performance.now();
    await work();
    const elapsed = (performance.now() - start) / 1000;
    seconds.push(elapsed);
    peers.push(peer);
    ratios.push(bytes / 1e6 / elapsed / peer);
  }
  const perSecond = RECORDS / median(seconds);
  console.log(
    `  ${name.padEnd(34)} ${count(perSecond).padStart(10)} records/s  ${count(bytes / 1e6 / median(seconds)).padStart(6)} MB/s   ` +
      `${median(ratios).toFixed(3)} of streaming SHA-256 (${count(median(peers))} MB/s)`,
  );
}

async function benchRead(dir: string): Promise<void> {
  const ledger = await open('long');
  const { size } = ledger.head();
  await ledger.close();
  const { totalBytes } = await verifiedBytes(dir);
  console.log(`\n${count(size)} records, ${count(totalBytes / 1e6)} MB`);
  // As `davy evidence verify` does it, on all cores; and one segment after the other, as where threads cannot be had.
  const ways = { 'all cores': { useThisThread: true }, 'in order': { parallelFromBytes: Number.POSITIVE_INFINITY } };
  for (const [way, options] of Object.entries(ways)) {
    await compare(`verify, chain only, ${way}`, totalBytes, async () => {
      const result = await verifyChain(dir, options);
      if (!result.ok) throw new Error(JSON.stringify(result));
    });
    await compare(`verify, full, ${way}`, totalBytes, async () => {
      const result = await verifyLedger(dir, options);
      if (!result.ok) throw new Error(JSON.stringify(result.firstBad));
    });
  }
  const reader = await open('long');
  await compare('replay (read and fold)', totalBytes, async () => {
    const versions = new Map<string, number>();
    for await (const record of reader.read(0)) versions.set(record.stream, record.sv);
  });
  await reader.close();
  const starts: number[] = [];
  for (let round = 0; round < 5; round++) {
    const start = performance.now();
    const again = await open('long');
    starts.push(performance.now() - start);
    await again.close();
  }
  console.log(`  start from the snapshot            ${median(starts).toFixed(0)} ms`);
}

async function verifiedBytes(dir: string): Promise<{ totalBytes: number }> {
  let totalBytes = 0;
  await verifyLedger(dir, {
    onProgress: (progress) => {
      totalBytes = progress.totalBytes;
    },
  });
  return { totalBytes };
}

try {
  console.log(
    `node ${process.version}, ${process.arch}; in ${home.startsWith(tmpdir()) ? 'the temporary folder' : 'the folder given'}`,
  );
  console.log(`SHA-256 streaming: ${count(streamMBps())} MB/s`);
  if (!values['read-only']) {
    await benchAppend();
    for (const flushes of SLOW_FLUSHES) await benchAppend(flushes);
  }
  if (!values['append-only']) await benchRead(await fill());
} finally {
  rmSync(home, { recursive: true, force: true });
}

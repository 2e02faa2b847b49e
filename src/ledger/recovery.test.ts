import { describe, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import { type FileLedger, openFileLedger } from './file-ledger.ts';
import type { LedgerRecord, NewEvent } from './record.ts';
import { MemoryDisk } from './testing/memory-disk.ts';
import { seededRandom } from './testing/random.ts';
import { verifyLedger } from './verify.ts';

const DIR = '/data/ledger';
const SEGMENT_0 = `${DIR}/log/0000000000000000.jsonl`;
const clock = createVirtualClock();
const event = (n: number): NewEvent => ({
  type: 'test.happened',
  stream: `s/${n % 3}`,
  data: { n, pad: 'x'.repeat(n * 7) },
});

function open(disk: MemoryDisk, extra: { reserveBytes?: number; aboveTerm?: number } = {}): Promise<FileLedger> {
  return openFileLedger({
    dir: DIR,
    system: 'shop',
    writerId: 'w',
    clock,
    disk,
    reserveBytes: 1_024,
    segmentRecords: 256,
    ...extra,
  });
}

/** A ledger of `count` appends whose writer was killed: no end mark, no checkpoint unless asked for. */
async function killedLedger(count: number, checkpointAt = -1): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const ledger = await open(disk);
  for (let n = 1; n <= count; n++) {
    await ledger.append([event(n)]);
    if (n === checkpointAt) await ledger.checkpoint();
  }
  disk.restartProcess();
  return disk;
}

async function closedLedger(count: number): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const ledger = await open(disk);
  for (let n = 1; n <= count; n++) await ledger.append([event(n)]);
  await ledger.close();
  return disk;
}

async function records(ledger: FileLedger): Promise<LedgerRecord[]> {
  const all: LedgerRecord[] = [];
  for await (const record of ledger.read(0)) all.push(record);
  return all;
}

const linesOf = (disk: MemoryDisk): string[] => disk.contents(SEGMENT_0).toString().trimEnd().split('\n');
const setLines = (disk: MemoryDisk, lines: string[]): void =>
  disk.overwrite(SEGMENT_0, Buffer.from(`${lines.join('\n')}\n`));

describe('a torn tail', () => {
  it('is cut at every byte without losing the records before it', async () => {
    const disk = await killedLedger(4);
    const full = disk.contents(SEGMENT_0);
    const ends = [...full.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1);
    for (let length = ends[0]!; length < full.length; length++) {
      const twin = disk.copy();
      twin.overwrite(SEGMENT_0, full.subarray(0, length));
      const ledger = await open(twin);
      const whole = ends.filter((end) => end <= length).length;
      const found = await records(ledger);
      const atEnd = ends.includes(length);
      expect(found.slice(0, whole).map((r) => r.seq)).toEqual(Array.from({ length: whole }, (_, i) => i));
      expect(found[whole]).toMatchObject({ type: 'ledger.recovered' });
      expect(found[whole]!.data.cut_bytes).toBe(atEnd ? 0 : length - ends[whole - 1]!);
      if (!atEnd)
        expect(twin.contents(`${DIR}/torn/${found[whole]!.data.cut_sha256}`).length).toBe(length - ends[whole - 1]!);
      await ledger.close();
      expect((await verifyLedger(DIR, { disk: twin })).ok).toBe(true);
    }
  });

  it('with a zeroed sector is cut from there', async () => {
    const disk = await killedLedger(12);
    const bytes = disk.contents(SEGMENT_0);
    bytes.fill(0, bytes.length - 1_200, bytes.length - 700);
    disk.overwrite(SEGMENT_0, bytes);
    const ledger = await open(disk);
    expect(ledger.recovery!.cutBytes).toBeGreaterThan(1_000);
    expect((await records(ledger)).at(-1)).toMatchObject({ type: 'ledger.recovered' });
    await ledger.close();
  });

  it('takes an append with it whose last record is missing', async () => {
    const disk = new MemoryDisk();
    const ledger = await open(disk);
    await ledger.append([event(1)]);
    await ledger.append([event(2), event(3), event(4)]);
    disk.restartProcess();
    setLines(disk, linesOf(disk).slice(0, -1));
    const again = await open(disk);
    expect((await records(again)).map((r) => r.type)).toEqual(['ledger.opened', 'test.happened', 'ledger.recovered']);
    await again.close();
  });

  it('never reaches below a checkpoint', async () => {
    const disk = await killedLedger(8, 6);
    setLines(disk, linesOf(disk).slice(0, 5));
    await expect(open(disk)).rejects.toMatchObject({
      code: 'ledger/truncated',
      message: expect.stringContaining('record 5'),
    });
  });

  it('survives every single bit flip of an unacknowledged record: cut, refused or adopted, never an invalid ledger', async () => {
    const disk = await killedLedger(6, 5);
    const bytes = disk.contents(SEGMENT_0);
    const start = bytes.lastIndexOf(10, bytes.length - 2) + 1;
    const random = seededRandom(7);
    for (let i = 0; i < 400; i++) {
      const twin = disk.copy();
      const flipped = Buffer.from(bytes);
      const at = start + Math.floor(random() * (bytes.length - start));
      flipped[at]! ^= 1 << Math.floor(random() * 8);
      twin.overwrite(SEGMENT_0, flipped);
      try {
        const ledger = await open(twin);
        expect((await records(ledger)).slice(0, 6).map((r) => r.data)).toEqual(
          (await recordsBelow(disk, 6)).map((r) => r.data),
        );
        await ledger.close();
        expect((await verifyLedger(DIR, { disk: twin })).ok).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ledger/tampered' });
      }
    }
  });
});

async function recordsBelow(disk: MemoryDisk, size: number): Promise<LedgerRecord[]> {
  return linesOf(disk)
    .slice(0, size)
    .map((line) => JSON.parse(line) as LedgerRecord);
}

describe('an altered ledger is refused with the first bad seq', () => {
  const edits: [string, (lines: string[]) => string[], number][] = [
    ['an edited record', (l) => l.map((line, i) => (i === 3 ? line.replace('"n":3', '"n":7') : line)), 3],
    ['a deleted record', (l) => l.filter((_, i) => i !== 4), 4],
    ['two swapped records', (l) => [...l.slice(0, 2), l[3]!, l[2]!, ...l.slice(4)], 2],
    ['a doubled record', (l) => [...l.slice(0, 6), l[5]!, ...l.slice(6)], 6],
    ['an edited last record', (l) => l.map((line, i) => (i === 9 ? line.replace('"n":9', '"n":8') : line)), 9],
    ['a cut tail', (l) => l.slice(0, -2), 8],
    ['an emptied log', () => [], 0],
  ];
  it.each(edits)('%s', async (name, edit, seq) => {
    const disk = await closedLedger(9);
    setLines(disk, edit(linesOf(disk)));
    const verified = await verifyLedger(DIR, { disk }).catch((error: unknown) => error);
    if (name !== 'an emptied log') expect(verified).toMatchObject({ ok: false, firstBad: { seq } });
    const message = expect.stringMatching(new RegExp(`ecord ${seq}\\b`));
    await expect(open(disk)).rejects.toMatchObject({ code: expect.stringMatching(/tampered|truncated/), message });
    await expect(open(disk)).rejects.toMatchObject({ code: expect.stringMatching(/tampered|truncated/) });
  });

  it('also after a kill, when an intact record follows the edited one', async () => {
    const disk = await killedLedger(9);
    setLines(
      disk,
      linesOf(disk).map((line, i) => (i === 4 ? line.replace('"n":4', '"n":5') : line)),
    );
    await expect(open(disk)).rejects.toMatchObject({
      code: 'ledger/tampered',
      message: expect.stringContaining('Record 4 '),
    });
  });
});

describe('a failing disk', () => {
  it('is never asked to flush again after a flush failed', async () => {
    const disk = new MemoryDisk();
    const ledger = await open(disk);
    await ledger.append([event(1)]);
    let flushes = 0;
    disk.fault = ({ op, path }) => {
      if (op !== 'datasync' || path !== SEGMENT_0) return undefined;
      flushes += 1;
      return flushes === 1 ? 'eio' : undefined;
    };
    await expect(ledger.append([event(2)])).rejects.toMatchObject({ code: 'ledger/poisoned' });
    await expect(ledger.append([event(3)])).rejects.toMatchObject({ code: 'ledger/poisoned' });
    await ledger.close();
    expect(flushes).toBe(1);
    disk.restartMachine(() => 0.99);
    const again = await open(disk);
    expect((await records(again)).slice(0, 2)).toHaveLength(2);
    await again.close();
  });

  it('rewrites the open segment after an unclean stop, because the cache may show what the medium lost', async () => {
    const disk = new MemoryDisk();
    const ledger = await open(disk);
    await ledger.append([event(1)]);
    disk.fault = ({ op, path }) => (op === 'datasync' && path === SEGMENT_0 ? 'eio' : undefined);
    await expect(ledger.append([event(2)])).rejects.toMatchObject({ code: 'ledger/poisoned' });
    disk.fault = () => undefined;
    disk.restartProcess();
    const again = await open(disk);
    expect(again.recovery).toMatchObject({ keptUnacked: 3, cutBytes: 0 });
    await again.append([event(3)]);
    disk.restartMachine(() => 0);
    const third = await open(disk);
    expect((await records(third)).map((r) => r.data.n).filter((n) => n !== undefined)).toEqual([1, 2, 3]);
    await third.close();
  });

  it('when full refuses promotions, records rollbacks from the reserve, and recovers by itself', async () => {
    const disk = new MemoryDisk();
    const ledger = await open(disk, { reserveBytes: 4_096 });
    await ledger.append([event(1)]);
    disk.capacityBytes = disk.paths().reduce((sum, path) => sum + disk.contents(path).length, 0) + 100;
    await expect(ledger.append([event(2)])).rejects.toMatchObject({ code: 'ledger/disk-full' });
    const [rollback] = await ledger.append([event(3)], { reserve: true });
    expect(rollback!.seq).toBe(2);
    await expect(ledger.append([event(4)])).rejects.toMatchObject({ code: 'ledger/disk-full' });
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await clock.advance(1_500);
    const [late] = await ledger.append([event(5)]);
    expect(late!.seq).toBe(3);
    await ledger.close();
    expect((await verifyLedger(DIR, { disk })).ok).toBe(true);
  });

  it('in one batch keeps the rollback and refuses the rest', async () => {
    const disk = new MemoryDisk();
    const ledger = await open(disk, { reserveBytes: 4_096 });
    disk.capacityBytes = disk.paths().reduce((sum, path) => sum + disk.contents(path).length, 0) + 100;
    const outcomes = await Promise.allSettled([
      ledger.append([event(1)]),
      ledger.append([event(2)], { reserve: true }),
      ledger.append([event(3)]),
    ]);
    expect(outcomes.map((o) => o.status)).toEqual(['rejected', 'fulfilled', 'rejected']);
    expect((await records(ledger)).map((r) => r.data.n)).toEqual([undefined, 2]);
  });
});

it('a disk that is full when it is opened is said so, and it opens when there is room', async () => {
  const disk = await closedLedger(3);
  disk.fault = ({ op }) => (op === 'append' ? 'enospc' : undefined);
  await expect(open(disk)).rejects.toMatchObject({ code: 'ledger/disk-full' });
  disk.fault = () => undefined;
  await (await open(disk)).close();
});

describe('a second writer', () => {
  it('is refused while the first lives', async () => {
    const disk = new MemoryDisk();
    const ledger = await open(disk);
    await expect(open(disk)).rejects.toMatchObject({ code: 'ledger/locked' });
    await ledger.close();
  });

  it('in another network namespace fences the first by its term', async () => {
    const disk = new MemoryDisk();
    const first = await open(disk);
    await first.append([event(1)]);
    disk.restartProcess(); // drops the lock only, as a second namespace would not see it
    const second = await open(disk);
    await expect(first.append([event(2)])).rejects.toMatchObject({ code: 'ledger/fenced' });
    expect((await second.append([event(3)]))[0]).toMatchObject({ term: 2 });
    await second.close();
  });

  it('takes a term above the one that somebody outside has seen, and fences the first all the same', async () => {
    const disk = new MemoryDisk();
    const first = await open(disk);
    await first.append([event(1)]);
    disk.restartProcess();
    const second = await open(disk, { aboveTerm: 6 });
    expect(second.known).toEqual({ size: 2, term: 1 });
    await expect(first.append([event(2)])).rejects.toMatchObject({ code: 'ledger/fenced' });
    expect((await second.append([event(3)])).at(-1)).toMatchObject({ term: 7 });
    disk.restartProcess();
    const third = await open(disk, { aboveTerm: 3 });
    await expect(second.append([event(4)])).rejects.toMatchObject({ code: 'ledger/fenced' });
    expect(third.head().term).toBe(8);
    expect((await verifyLedger(DIR, { disk })).ok).toBe(true);
    await third.close();
  });

  it('that writes into the file is noticed by its length', async () => {
    const disk = new MemoryDisk();
    const ledger = await open(disk);
    disk.overwrite(SEGMENT_0, Buffer.concat([disk.contents(SEGMENT_0), Buffer.from('x')]));
    await expect(ledger.append([event(1)])).rejects.toMatchObject({ code: 'ledger/fenced' });
  });
});

describe('an older copy put back', () => {
  it('is refused when its checkpoint is newer than its log', async () => {
    const disk = await closedLedger(5);
    const old = linesOf(disk);
    const ledger = await open(disk);
    await ledger.append([event(6)]);
    await ledger.close();
    setLines(disk, old);
    await expect(open(disk)).rejects.toMatchObject({ code: 'ledger/truncated' });
  });

  it('is refused when the key is gone, open to others, or another one', async () => {
    const disk = await closedLedger(1);
    await disk.chmod(`${DIR}.key`, 0o644);
    await expect(open(disk)).rejects.toMatchObject({ code: 'ledger/bad-key' });
    await disk.chmod(`${DIR}.key`, 0o600);
    const other = await closedLedger(1);
    disk.overwrite(`${DIR}.key`, other.contents(`${DIR}.key`));
    await expect(open(disk)).rejects.toMatchObject({ code: 'ledger/bad-key' });
    await disk.remove(`${DIR}.key`);
    await expect(open(disk)).rejects.toMatchObject({ code: 'ledger/bad-key' });
  });
});

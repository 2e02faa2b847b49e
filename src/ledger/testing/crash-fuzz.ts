import { isDeepStrictEqual } from 'node:util';
import { createVirtualClock } from '../../lib/virtual-clock.ts';
import { type FileLedger, openFileLedger } from '../file-ledger.ts';
import type { LedgerRecord, NewEvent } from '../record.ts';
import { verifyLedger } from '../verify.ts';
import { type DiskFault, MemoryDisk } from './memory-disk.ts';
import { seededRandom } from './random.ts';

const DIR = '/data/ledger';
const FAULTS: DiskFault[] = ['crash', 'crash-after', 'eio', 'eio-after', 'enospc', 'short'];
const ROUNDS = 4;

/** What one seeded case did, for the summary of a long run. */
export interface FuzzOutcome {
  seed: number;
  acknowledged: number;
  faults: string[];
  recoveries: number;
}

interface Attempt {
  key: string;
  events: NewEvent[];
  reserve: boolean;
}

/**
 * One seeded life of a ledger: appends under faults and crashes at random disk calls, restarts of the process or of the
 * machine, retries by idempotency key. Throws when an acknowledged record is lost, altered or doubled, when a retried
 * append is written twice, or when the result does not verify.
 */
export async function runCrashCase(seed: number): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const clock = createVirtualClock();
  const disk = new MemoryDisk();
  disk.flushTurns = () => below(30);
  const acknowledged = new Map<number, LedgerRecord>();
  const undecided: Attempt[] = [];
  const outcome: FuzzOutcome = { seed, acknowledged: 0, faults: [], recoveries: 0 };
  let attempts = 0;

  const open = (): Promise<FileLedger> =>
    openFileLedger({ dir: DIR, system: 'fuzz', writerId: 'w', clock, disk, reserveBytes: 2_048, segmentRecords: 8 });

  const acknowledge = (records: LedgerRecord[]): void => {
    for (const record of records) {
      const before = acknowledged.get(record.seq);
      if (before && !isDeepStrictEqual(before, record)) throw new Error(`record ${record.seq} was acknowledged twice`);
      acknowledged.set(record.seq, record);
    }
  };

  const append = async (ledger: FileLedger, attempt: Attempt): Promise<void> => {
    try {
      acknowledge(await ledger.append(attempt.events, { idempotencyKey: attempt.key, reserve: attempt.reserve }));
    } catch {
      undecided.push(attempt);
    }
  };

  const newAttempt = (): Attempt => {
    attempts += 1;
    const events = Array.from({ length: 1 + below(4) }, (_, i): NewEvent => {
      return {
        type: 'fuzz.happened',
        stream: `s/${below(3)}`,
        data: { attempt: attempts, i, pad: 'x'.repeat(below(900)) },
      };
    });
    return { key: `k-${attempts}`, events, reserve: random() < 0.2 };
  };

  /** A caller that wants one record after the other, and may come while a batch is being flushed. */
  const appendInTurn = async (ledger: FileLedger, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      for (let turns = below(40); turns > 0; turns--) await null;
      await append(ledger, newAttempt());
    }
  };

  const armFault = (): void => {
    const at = disk.calls + below(60);
    const kind = FAULTS[below(FAULTS.length)]!;
    let spent = false;
    disk.fault = (call) => {
      if (spent || call.index < at || (kind === 'short' && call.op !== 'append')) return undefined;
      if (call.op === 'read' && kind !== 'crash') return undefined;
      spent = true;
      outcome.faults.push(`${kind}@${call.op}`);
      return kind;
    };
  };

  for (let round = 0; round < ROUNDS; round++) {
    armFault();
    let ledger: FileLedger | null = null;
    try {
      ledger = await open();
      for (const attempt of undecided.splice(0)) await append(ledger, attempt);
      for (let burst = 0; burst < 6; burst++) {
        const open = ledger;
        const callers = Array.from({ length: 1 + below(5) }, () => below(4));
        await Promise.all(callers.map((more) => appendInTurn(open, 1 + more)));
        if (random() < 0.3) await ledger.checkpoint().catch(() => undefined);
        if (random() < 0.2) await clock.advance(1_100);
      }
      if (random() < 0.5) await ledger.close();
    } catch {
      // The open or close met the fault; the restart below must cope.
    }
    disk.fault = () => undefined;
    await die(disk);
    if (random() < 0.5) disk.restartMachine(random);
    else disk.restartProcess();
    const reopened = await open();
    if (reopened.recovery) outcome.recoveries += 1;
    await check(disk, acknowledged, reopened);
  }
  outcome.acknowledged = acknowledged.size;
  return outcome;
}

/** The process dies where it is; what it still had to do meets a dead disk before the next one begins. */
async function die(disk: MemoryDisk): Promise<void> {
  disk.dead = true;
  await new Promise(setImmediate);
}

/** All acknowledged records stand, unaltered and once; the files verify; then the process ends without a close. */
async function check(disk: MemoryDisk, acknowledged: Map<number, LedgerRecord>, ledger: FileLedger): Promise<void> {
  const keys = new Set<string>();
  let found = 0;
  for await (const record of ledger.read(0)) {
    const expected = acknowledged.get(record.seq);
    if (expected) {
      found += 1;
      if (!isDeepStrictEqual(expected, record)) throw new Error(`acknowledged record ${record.seq} was altered`);
    }
    if (record.key === undefined) continue;
    if (keys.has(record.key)) throw new Error(`append ${record.key} was written twice`);
    keys.add(record.key);
  }
  if (found !== acknowledged.size) throw new Error(`${acknowledged.size - found} acknowledged records are lost`);
  await ledger.close();
  const verified = await verifyLedger(DIR, { disk });
  if (!verified.ok) throw new Error(`the ledger does not verify: ${JSON.stringify(verified.firstBad)}`);
  disk.restartProcess();
}

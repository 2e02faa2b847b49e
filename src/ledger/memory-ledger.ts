import type { Clock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import type { Batch } from './batch.ts';
import { decodeLine, leafHash, prepareEvent, ZERO_HASH } from './codec.ts';
import { ledgerErrors } from './errors.ts';
import { LEDGER_STREAM, OPENED } from './facts.ts';
import { type CommitTarget, diskFullError, GroupCommit } from './group-commit.ts';
import { createUuidV7 } from './ids.ts';
import type { AppendOptions, Ledger, LedgerHead } from './ledger.ts';
import type { LedgerRecord, NewEvent } from './record.ts';
import { Scrubber } from './scrub.ts';
import { applyRecord, checkAppend, emptyState, forgetOldKeys, Sequencer } from './sequencer.ts';

/** What a write of the memory ledger does. After `failed` and `failed-but-done` the ledger is poisoned, as on disk. */
export type WriteOutcome = 'ok' | 'failed' | 'failed-but-done' | 'disk-full';

/** What survives a crash of the process that held a memory ledger: open a new one on it. */
export interface MemoryStore {
  lines: string[];
  term: number;
}

export function createMemoryStore(): MemoryStore {
  return { lines: [], term: 0 };
}

export interface MemoryLedgerOptions {
  clock: Clock;
  system?: string;
  writerId?: string;
  newId?: () => string;
  store?: MemoryStore;
  /** The highest term that something outside the ledger has seen; 0 if absent. */
  aboveTerm?: number;
  /** Asked before every write; `firstSeq` and `count` say what would be written. */
  fault?: (firstSeq: number, count: number) => WriteOutcome | Promise<WriteOutcome>;
  /** Records that the reserve still holds when the disk is full. */
  reserveRecords?: number;
}

/**
 * The ledger without a disk, for tests and the simulation: the same sequencer, codec and group commit, lines kept in an
 * array. A newer ledger on the same store fences the older one.
 */
export async function openMemoryLedger(options: MemoryLedgerOptions): Promise<Ledger> {
  const store = options.store ?? createMemoryStore();
  store.term = Math.max(store.term, options.aboveTerm ?? 0) + 1;
  const nowMs = (): number => options.clock.nowMs();
  const state = emptyState(ZERO_HASH);
  for (const line of store.lines) applyRecord(state, decodeLine(line), leafHash(line));
  forgetOldKeys(state);
  const sequencer = new Sequencer(state, {
    writerId: options.writerId ?? 'memory',
    term: store.term,
    newId: options.newId ?? createUuidV7(nowMs),
    nowMs,
  });
  const target = new MemoryTarget(store, store.term, options);
  const scrubber = new Scrubber();
  const listeners = new Set<(records: readonly LedgerRecord[]) => void>();
  let durable = sequencer.head();
  const commits = new GroupCommit(sequencer, target, (records, tip) => {
    const last = records.at(-1)!;
    durable = { size: last.seq + 1, tip, term: last.term };
    for (const listener of listeners) listener(records);
  });
  const ledger: Ledger = {
    append(events: NewEvent[], appendOptions: AppendOptions = {}): Promise<LedgerRecord[]> {
      try {
        const { expected, idempotencyKey: key, reserve } = appendOptions;
        checkAppend(events.length, key);
        return commits.submit(
          { events: events.map((event) => prepareEvent(event, scrubber)), expected, key },
          reserve ?? false,
        );
      } catch (error) {
        return Promise.reject(error);
      }
    },
    read: (fromSeq: number) => readLines(store.lines.slice(fromSeq, durable.size)),
    head: (): LedgerHead => ({ ...durable }),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => commits.stop(new DavyError(ledgerErrors.closed, 'The ledger is closed.')),
  };
  if (store.lines.length === 0) {
    const data = { origin: `memory/${options.system ?? 'test'}`, format: 1 };
    await ledger.append([{ type: OPENED, stream: LEDGER_STREAM, data }]);
  }
  return ledger;
}

async function* readLines(lines: string[]): AsyncGenerator<LedgerRecord> {
  for (const line of lines) yield decodeLine(line);
}

class MemoryTarget implements CommitTarget {
  readonly #store: MemoryStore;
  readonly #term: number;
  readonly #fault: MemoryLedgerOptions['fault'];
  #reserve: number;
  #usingReserve = false;

  constructor(store: MemoryStore, term: number, options: MemoryLedgerOptions) {
    this.#store = store;
    this.#term = term;
    this.#fault = options.fault;
    this.#reserve = options.reserveRecords ?? 1_000;
  }

  async commit(batch: Batch): Promise<void> {
    const outcome = (await this.#fault?.(batch.firstSeq, batch.ends.length)) ?? 'ok';
    if (this.#store.term !== this.#term) {
      throw new DavyError(ledgerErrors.fenced, `A writer with term ${this.#store.term} has taken over.`);
    }
    if (outcome === 'disk-full') this.#takeFromReserve(batch.ends.length);
    else this.#usingReserve = false;
    if (outcome !== 'failed') this.#store.lines.push(...linesOf(batch));
    if (outcome === 'failed' || outcome === 'failed-but-done') {
      throw new DavyError(ledgerErrors.poisoned, `Writing the ledger failed (${outcome}).`);
    }
  }

  #takeFromReserve(count: number): void {
    if (!this.#usingReserve || this.#reserve < count) throw diskFullError();
    this.#reserve -= count;
  }

  readonly isFull = false;
  readonly isUnsettled = false;

  async retryFull(): Promise<void> {}

  async settle(): Promise<() => Promise<void>> {
    return async () => undefined;
  }

  async freeReserve(): Promise<boolean> {
    this.#usingReserve = true;
    return this.#reserve > 0;
  }

  async readRange(seq: number, count: number): Promise<LedgerRecord[]> {
    return this.#store.lines.slice(seq, seq + count).map(decodeLine);
  }
}

function linesOf({ bytes, ends }: Batch): string[] {
  return ends.map((end, i) => bytes.toString('utf8', i === 0 ? 0 : ends[i - 1], end - 1));
}

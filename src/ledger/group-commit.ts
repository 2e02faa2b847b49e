import { DavyError, messageOf } from '../lib/error.ts';
import type { Batch } from './batch.ts';
import { ledgerErrors } from './errors.ts';
import type { LedgerRecord } from './record.ts';
import type { AppendRequest, KeyRange, Sequencer } from './sequencer.ts';

/** Where batches become durable. */
export interface CommitTarget {
  /**
   * Resolves when the batch is durable. Rejects with `ledger/disk-full` when nothing of it was kept; any other
   * rejection means that nobody knows, and no further batch is given. Calls `onWritten` when only the flush is awaited and
   * nothing can be given back any more, so that the next batch may be staged meanwhile; it need not, and does not when
   * there is housekeeping to begin after this batch.
   */
  commit(batch: Batch, onWritten: () => void): Promise<void>;
  /** The disk was full and the reserve is in use. */
  readonly isFull: boolean;
  /** Tries to get out of that state. */
  retryFull(): Promise<void>;
  /** There is housekeeping to begin. */
  readonly isUnsettled: boolean;
  /** Frees the reserve; false when there is none left. */
  freeReserve(): Promise<boolean>;
  /**
   * Begins housekeeping between two batches, when exactly the durable records are staged, and returns the rest of it,
   * which runs beside further batches. A rejection of either poisons the ledger; a full disk must not reject.
   */
  settle(): Promise<() => Promise<void>>;
  /** Records of an earlier append, for a repeated idempotency key. */
  readRange(seq: number, count: number): Promise<LedgerRecord[]>;
}

interface Pending extends AppendRequest {
  reserve: boolean;
  resolve: (records: LedgerRecord[]) => void;
  reject: (error: unknown) => void;
}

interface StagedAppend {
  pending: Pending;
  records: LedgerRecord[];
  /** Leaf hash of the last record. */
  tip: string;
}

/** An append whose idempotency key is known: the records it stands for. */
interface Repeat {
  pending: Pending;
  range: KeyRange;
}

const MAX_QUEUED_APPENDS = 65_536;
/**
 * From this many waiting appends on, a write takes half of them when the disk stood still: while one half is flushed, the
 * callers of the other are answered and prepare what they want next. Fewer share one flush, which is worth more.
 */
const HALVE_FROM = 64;

/**
 * Natural group commit: whatever queued up while the last flush was in flight goes out in the next write. There is no
 * timer and nothing to tune: a lone caller waits for one flush, a thousand callers share one.
 */
export class GroupCommit {
  readonly #sequencer: Sequencer;
  readonly #target: CommitTarget;
  readonly #onCommitted: (records: readonly LedgerRecord[], tip: string) => void;
  #queue: Pending[] = [];
  /** Staged while the batch before is flushed; written first thing after it. */
  #ahead: StagedAppend[] = [];
  #mayStageAhead = false;
  /** Durable, and answered as soon as the next write is on its way: the callers' work then overlaps its flush. */
  #unanswered: StagedAppend[] = [];
  #running: Promise<void> | null = null;
  #housekeeping: Promise<void> = Promise.resolve();
  #stopped: DavyError | null = null;

  /** `onCommitted` is told the durable records in order and the leaf hash (hex) of the last. */
  constructor(
    sequencer: Sequencer,
    target: CommitTarget,
    onCommitted: (records: readonly LedgerRecord[], tip: string) => void,
  ) {
    this.#sequencer = sequencer;
    this.#target = target;
    this.#onCommitted = onCommitted;
  }

  /** Why no more appends are taken, or null. */
  get stopped(): DavyError | null {
    return this.#stopped;
  }

  submit(request: AppendRequest, reserve: boolean): Promise<LedgerRecord[]> {
    if (this.#stopped) return Promise.reject(this.#stopped);
    if (this.#queue.length >= MAX_QUEUED_APPENDS) {
      const sentence = `${MAX_QUEUED_APPENDS} appends wait for the disk, which is the limit.`;
      return Promise.reject(new DavyError(ledgerErrors['queue-full'], sentence));
    }
    return new Promise((resolve, reject) => {
      const { events, expected, key } = request;
      const pending = { events, expected, key, reserve, resolve, reject };
      if (this.#stagesAhead(pending)) return;
      this.#queue.push(pending);
      this.#running ??= this.#run();
    });
  }

  /** Stages at once what need not wait for the flush in flight; false when it must queue up. */
  #stagesAhead(pending: Pending): boolean {
    if (!this.#mayStageAhead || this.#queue.length > 0 || this.#sequencer.isFull) return false;
    if (this.#sequencer.known(pending.key)) return false;
    const staged = this.#stage(pending);
    if (staged) this.#ahead.push(staged);
    return true;
  }

  /** Refuses new appends with `reason` and waits for those under way. */
  async stop(reason: DavyError): Promise<void> {
    this.#stopped ??= reason;
    await this.#running;
    await this.#housekeeping;
  }

  async #run(): Promise<void> {
    await null; // appends of the same turn share the first write
    while (this.#queue.length > 0 || this.#ahead.length > 0) {
      try {
        await this.#commitNext();
      } catch (error) {
        this.#poison(error);
      }
    }
    this.#running = null;
  }

  async #commitNext(): Promise<void> {
    if (this.#target.isFull) {
      this.#answer();
      await this.#target.retryFull();
    }
    const batch = this.#takeBatch(this.#target.isFull);
    try {
      const writing = batch.taken.length === 0 ? null : this.#tryCommit();
      this.#answer();
      const full = await writing;
      this.#unanswered = full ? await this.#commitUrgent(batch.taken, full) : batch.taken;
      // What was staged meanwhile goes first, else the staged state would not be the durable one.
      const settles = this.#target.isUnsettled && this.#ahead.length === 0;
      // Whoever waits already was not woken by this: the next write can start at once.
      const isNext = this.#queue.length > 0 || this.#ahead.length > 0;
      if (isNext && batch.repeats.length === 0 && !settles) return;
      const committed = this.#unanswered;
      this.#answer();
      if (batch.repeats.length > 0) await this.#resolveRepeats(batch.repeats, committed);
      if (settles) await this.#settle();
    } catch (error) {
      // Nobody waits for ever: rejecting what was resolved already does nothing.
      for (const { pending } of [...batch.taken, ...batch.repeats]) pending.reject(poisonError(error));
      throw error;
    }
  }

  async #settle(): Promise<void> {
    const rest = await this.#target.settle();
    this.#housekeeping = this.#housekeeping.then(rest).catch((error) => this.#poison(error));
  }

  #takeBatch(full: boolean): { taken: StagedAppend[]; repeats: Repeat[] } {
    const taken = this.#ahead;
    this.#ahead = [];
    const repeats: Repeat[] = [];
    let used = 0;
    const isIdle = this.#unanswered.length === 0 && this.#queue.length >= HALVE_FROM;
    const most = isIdle ? Math.ceil(this.#queue.length / 2) : this.#queue.length;
    while (used < most && !this.#sequencer.isFull) {
      const pending = this.#queue[used]!;
      used += 1;
      const range = this.#sequencer.known(pending.key);
      if (range) repeats.push({ pending, range });
      else if (full && !pending.reserve) pending.reject(diskFullError());
      else {
        const staged = this.#stage(pending);
        if (staged) taken.push(staged);
      }
    }
    this.#queue = used === this.#queue.length ? [] : this.#queue.slice(used);
    return { taken, repeats };
  }

  #stage(pending: Pending): StagedAppend | null {
    try {
      return { pending, records: this.#sequencer.stage(pending), tip: this.#sequencer.state.tip };
    } catch (error) {
      pending.reject(error);
      return null;
    }
  }

  /** Tries again with what may use the reserve; returns what became durable. */
  async #commitUrgent(taken: StagedAppend[], full: DavyError): Promise<StagedAppend[]> {
    const urgent = taken.filter(({ pending }) => pending.reserve).map(({ pending }) => pending);
    for (const { pending } of taken) if (!pending.reserve) pending.reject(full);
    const freed = await this.#target.freeReserve();
    const again = freed ? urgent.flatMap((pending) => this.#stage(pending) ?? []) : [];
    const stillFull = freed && again.length > 0 ? await this.#tryCommit() : full;
    if (!stillFull) return again;
    for (const pending of urgent) pending.reject(stillFull);
    return [];
  }

  /** Returns the error when the disk was full, and everything is as before then; throws any other. */
  async #tryCommit(): Promise<DavyError | null> {
    let isWritten = false;
    const onWritten = (): void => {
      isWritten = true;
      this.#sequencer.commit();
      this.#mayStageAhead = !this.#target.isUnsettled && !this.#target.isFull;
    };
    try {
      await this.#target.commit(this.#sequencer.batch(), onWritten);
      if (!isWritten) this.#sequencer.commit();
      return null;
    } catch (error) {
      this.#sequencer.rollBack();
      if (error instanceof DavyError && error.kind === ledgerErrors['disk-full']) return error;
      throw error;
    } finally {
      this.#mayStageAhead = false;
    }
  }

  #answer(): void {
    const committed = this.#unanswered;
    if (committed.length === 0) return;
    this.#unanswered = [];
    this.#onCommitted(recordsOf(committed), committed.at(-1)!.tip);
    for (const { pending, records } of committed) pending.resolve(records);
  }

  async #resolveRepeats(
    repeats: { pending: Pending; range: [number, number] }[],
    batch: StagedAppend[],
  ): Promise<void> {
    for (const { pending, range } of repeats) {
      const same = batch.find(({ records }) => records[0]!.seq === range[0]);
      if (same) pending.resolve(same.records);
      else if (this.#sequencer.known(pending.key)) pending.resolve(await this.#target.readRange(range[0], range[1]));
      else this.#queue.push(pending); // the append it repeated was refused, so it is the first of its key now
    }
  }

  #poison(error: unknown): void {
    this.#answer();
    this.#stopped ??= poisonError(error);
    for (const pending of this.#queue) pending.reject(this.#stopped);
    for (const { pending } of this.#ahead) pending.reject(this.#stopped);
    this.#queue = [];
    this.#ahead = [];
  }
}

function recordsOf(appends: readonly StagedAppend[]): LedgerRecord[] {
  if (appends.length === 1) return appends[0]!.records;
  const all: LedgerRecord[] = [];
  for (const { records } of appends) for (const record of records) all.push(record);
  return all;
}

export function diskFullError(cause?: unknown): DavyError {
  return new DavyError(ledgerErrors['disk-full'], 'The disk of the ledger is full; the record was not written.', {
    cause,
  });
}

function poisonError(error: unknown): DavyError {
  if (error instanceof DavyError) return error;
  return new DavyError(ledgerErrors.poisoned, `Writing the ledger failed: ${messageOf(error)}.`, { cause: error });
}

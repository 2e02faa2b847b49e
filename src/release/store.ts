import { randomUUID } from 'node:crypto';
import type { Judge, Look } from '../analysis/judge.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Actor, LedgerRecord, NewEvent } from '../ledger/record.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Log } from '../lib/log.ts';
import { releaseErrors } from './errors.ts';
import { type ReleaseEvent, toNewEvent, writable } from './events.ts';
import { type EventContext, evolve } from './evolve.ts';
import type { Past } from './past.ts';
import { emptyFleet, type FleetState } from './state.ts';

/** Looks waiting for the ledger are written at this size, so that a record stays far below the ledger's 64 KiB. */
const FLUSH_BYTES = 24_000;
/** Looks kept while the ledger cannot be written; older ones are dropped and the loss is logged. */
const MAX_PENDING_LOOKS = 10_000;

export interface CommitOptions {
  by?: Actor;
  /** Lowering a weight: takes effect even when the ledger cannot be written; the record follows late. */
  lowering?: boolean;
}

/** The fold and its ledger: the only place where the release room's state changes. */
export interface ReleaseStore {
  load(): Promise<void>;
  fleet(): FleetState;
  /**
   * Decides on the newest state, makes the events durable, then folds them. Serialised: no decision sees half of another.
   * Rejects with `release/ledger-unwritable` when the ledger refuses and the events are not lowering.
   */
  commit(decide: (fleet: FleetState) => ReleaseEvent[], options?: CommitOptions): Promise<ReleaseEvent[]>;
  /** Folds a look at once and writes it with the next commit or flush. */
  observe(release: string, look: Look): void;
  flush(): Promise<void>;
  /** Events that took effect but are not durable yet. */
  lateCount(): number;
  subscribe(listener: () => void): () => void;
}

export interface StoreParts {
  ledger: Ledger;
  judge: Judge;
  nowMs: () => number;
  log: Log;
  /** The ledger can never be written again by this process: it must end, and the next one replays. */
  onFatal: (error: unknown) => void;
  /** Told of every state that the replay comes past, with the number of records that make it. */
  onReplayed?: ((past: Past) => void) | undefined;
}

/** The ledger belongs to another controller now: this one may not even lower a weight. */
const REPLACED = new Set(['ledger/fenced', 'ledger/closed']);
/** A poisoned ledger may hold more than it acknowledged. */
const FATAL = new Set(['ledger/poisoned', ...REPLACED]);

export const ROOM_TYPES = /^(release|service|traffic)\./;

export function createReleaseStore(parts: StoreParts): ReleaseStore {
  const { ledger, judge, nowMs, log, onFatal } = parts;
  let fleet = emptyFleet();
  let pending: { release: string; look: Look; bytes: number }[] = [];
  let pendingBytes = 0;
  let late: NewEvent[] = [];
  let tail: Promise<unknown> = Promise.resolve();
  const listeners = new Set<() => void>();

  function fold(event: ReleaseEvent, context: EventContext): void {
    fleet = evolve(fleet, event, context, judge);
  }

  function changed(): void {
    for (const listener of listeners) listener();
  }

  function serial<T>(work: () => Promise<T>): Promise<T> {
    const run = tail.then(work);
    tail = run.catch(() => {});
    return run;
  }

  /** Turns the waiting looks into records of a bounded size, one run of looks per release. */
  function takePending(): NewEvent[] {
    const taken = pending;
    pending = [];
    pendingBytes = 0;
    return chunkLooks(taken).map((event) => toNewEvent(event));
  }

  async function append(events: NewEvent[], reserve: boolean): Promise<void> {
    if (events.length === 0) return;
    const options = { idempotencyKey: randomUUID(), reserve };
    try {
      await ledger.append(events, options);
    } catch (error) {
      if (isFatal(error)) throw error;
      log.warn({ error: messageOf(error) }, 'ledger append failed, asking once more with the same key');
      await ledger.append(events, options);
    }
  }

  /** Late events go first, so that the ledger keeps the order in which things took effect. */
  async function write(events: NewEvent[], lowering: boolean): Promise<boolean> {
    const waiting = pending;
    const before = late;
    const batch = [...before, ...takePending(), ...events];
    try {
      await append(batch, lowering);
      late = [];
      return true;
    } catch (error) {
      pending = [...waiting, ...pending];
      pendingBytes = pending.reduce((sum, entry) => sum + entry.bytes, 0);
      if (isFatal(error)) onFatal(error);
      log.error({ error: messageOf(error), events: events.map((event) => event.type) }, 'the ledger cannot be written');
      if (!lowering || isReplaced(error)) {
        throw new DavyError(releaseErrors['ledger-unwritable'], `The ledger cannot be written: ${messageOf(error)}`, {
          cause: error,
        });
      }
      late = [...before, ...events.map((event) => ({ ...event, data: { ...event.data, late: true } }))];
      return false;
    }
  }

  return {
    async load() {
      for await (const record of ledger.read(0)) {
        if (ROOM_TYPES.test(record.type)) fold(eventOf(record), contextOf(record));
        parts.onReplayed?.({ nextSeq: record.seq + 1, fleet });
      }
      changed();
    },
    fleet: () => fleet,
    commit(decide, options = {}) {
      return serial(async () => {
        const events = decide(fleet).map(writable);
        if (events.length === 0) return events;
        const by = options.by;
        await write(
          events.map((event) => toNewEvent(event, by)),
          options.lowering === true,
        );
        const context = { atMs: nowMs(), by: by?.id ?? 'davy' };
        for (const event of events) fold(event, context);
        changed();
        return events;
      });
    },
    observe(release, look) {
      fold({ type: 'release.observed', data: { release, looks: [look] } }, { atMs: nowMs(), by: 'davy' });
      const bytes = JSON.stringify(look).length;
      pending.push({ release, look, bytes });
      pendingBytes += bytes;
      if (pending.length > MAX_PENDING_LOOKS) {
        pending.shift();
        log.warn({ limit: MAX_PENDING_LOOKS }, 'a look was dropped: the ledger has been unwritable for too long');
      }
      if (pendingBytes > FLUSH_BYTES) void this.flush();
      changed();
    },
    flush() {
      return serial(async () => {
        if (pending.length + late.length === 0) return;
        await write([], false).catch(() => {});
      });
    },
    lateCount: () => late.length,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** True when another controller has taken over the ledger. */
export function isReplaced(error: unknown): boolean {
  return error instanceof DavyError && REPLACED.has(error.code);
}

function isFatal(error: unknown): boolean {
  return error instanceof DavyError && FATAL.has(error.code);
}

function chunkLooks(entries: { release: string; look: Look; bytes: number }[]): ReleaseEvent[] {
  const events: Extract<ReleaseEvent, { type: 'release.observed' }>[] = [];
  let open: Extract<ReleaseEvent, { type: 'release.observed' }> | null = null;
  let bytes = 0;
  for (const entry of entries) {
    if (!open || open.data.release !== entry.release || bytes + entry.bytes > FLUSH_BYTES) {
      open = { type: 'release.observed', data: { release: entry.release, looks: [] } };
      events.push(open);
      bytes = 0;
    }
    open.data.looks.push(entry.look);
    bytes += entry.bytes;
  }
  return events;
}

export function eventOf(record: LedgerRecord): ReleaseEvent {
  return { type: record.type, data: record.data } as unknown as ReleaseEvent;
}

export function contextOf(record: LedgerRecord): EventContext {
  return { atMs: Date.parse(record.time), by: record.actor.id };
}

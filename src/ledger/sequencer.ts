import { DavyError } from '../lib/error.ts';
import { type Batch, BatchBuffer } from './batch.ts';
import {
  encodeEntry,
  MAX_EVENTS_PER_APPEND,
  MAX_LINE_BYTES,
  type Place,
  type PreparedEvent,
  recordOf,
} from './codec.ts';
import { ledgerErrors } from './errors.ts';
import type { LedgerHead } from './ledger.ts';
import type { LedgerRecord } from './record.ts';

/** A key is remembered while its record is among the last this many, so that memory stays bounded. */
const KEY_WINDOW = 65_536;

/** First record and number of records of an append that carried an idempotency key. */
export type KeyRange = [seq: number, count: number];

/** What the ledger must know to place the next record; a fold over the records. */
export interface SequencerState {
  size: number;
  /** Leaf hash of the last record, hex. */
  tip: string;
  /** Last version of every stream. */
  streams: Map<string, number>;
  /** In the order of their seq. */
  keys: Map<string, KeyRange>;
}

export function emptyState(tip: string): SequencerState {
  return { size: 0, tip, streams: new Map(), keys: new Map() };
}

export function copyState({ size, tip, streams, keys }: SequencerState): SequencerState {
  return { size, tip, streams: new Map(streams), keys: new Map(keys) };
}

/** The fold for a record that is already on disk. */
export function applyRecord(state: SequencerState, record: LedgerRecord, leafHex: string): void {
  state.size = record.seq + 1;
  state.tip = leafHex;
  state.streams.set(record.stream, record.sv);
  if (record.key !== undefined) state.keys.set(record.key, [record.seq, record.tx[1]]);
}

export function forgetOldKeys(state: SequencerState): void {
  const oldest = state.size - KEY_WINDOW;
  for (const [key, range] of state.keys) {
    if (range[0] >= oldest) return;
    state.keys.delete(key);
  }
}

export interface AppendRequest {
  events: PreparedEvent[];
  expected: Record<string, number> | undefined;
  key: string | undefined;
}

export interface SequencerOptions {
  writerId: string;
  term: number;
  newId: () => string;
  nowMs: () => number;
}

/**
 * Gives appends their place in the chain and encodes them into a batch. Staging moves a tentative state ahead of the
 * written one; when the write did not happen, `rollBack` returns to the written state. Pure but for the clock and ids it
 * was given.
 */
export class Sequencer {
  readonly #state: SequencerState;
  readonly #options: SequencerOptions;
  readonly #buffer = new BatchBuffer();
  /** Where the written state ends. */
  #written: { size: number; tip: string };
  /** Stream of every staged record and its version before, and the keys of the staged appends. */
  #streams: string[] = [];
  #versions: (number | undefined)[] = [];
  #keys: string[] = [];
  #lastMs = -1;
  #time = '';

  constructor(state: SequencerState, options: SequencerOptions) {
    this.#state = state;
    this.#options = options;
    this.#written = { size: state.size, tip: state.tip };
  }

  head(): LedgerHead {
    return { size: this.#state.size, tip: this.#state.tip, term: this.#options.term };
  }

  get state(): SequencerState {
    return this.#state;
  }

  known(key: string | undefined): KeyRange | undefined {
    return key === undefined ? undefined : this.#state.keys.get(key);
  }

  /** Throws `ledger/conflict` or `ledger/record-too-large` and changes nothing then. */
  stage(request: AppendRequest): LedgerRecord[] {
    this.#checkExpected(request.expected);
    const state = this.#state;
    const { size, tip } = state;
    const count = request.events.length;
    const records: LedgerRecord[] = new Array(count);
    const time = this.#now();
    try {
      for (let i = 0; i < count; i++) records[i] = this.#place(request, i, time);
    } catch (error) {
      this.#takeBack(size, tip);
      throw error;
    }
    if (request.key !== undefined) {
      state.keys.set(request.key, [size, count]);
      this.#keys.push(request.key);
    }
    return records;
  }

  #place(request: AppendRequest, i: number, time: string): LedgerRecord {
    const { writerId, term, newId } = this.#options;
    const state = this.#state;
    const event = request.events[i]!;
    const last = state.streams.get(event.stream);
    const place: Place = {
      seq: state.size,
      time,
      w: writerId,
      term,
      prev: state.tip,
      id: newId(),
      sv: last === undefined ? 0 : last + 1,
      tx: [i + 1, request.events.length],
    };
    if (i === 0 && request.key !== undefined) place.key = request.key;
    const entry = encodeEntry(place, event);
    const leaf = this.#buffer.add(entry);
    if (leaf === null) throw tooLargeError(entry, event.type);
    this.#streams.push(event.stream);
    this.#versions.push(last);
    state.streams.set(event.stream, place.sv);
    state.size += 1;
    state.tip = leaf;
    return recordOf(place, event);
  }

  /** As much is staged as one write may hold. */
  get isFull(): boolean {
    return this.#buffer.isFull;
  }

  /** What is staged, to be written. */
  batch(): Batch {
    return this.#buffer.batch(this.#written.size);
  }

  /** The staged records are written: they become durable, or the ledger stops. What is staged from here on is the next batch. */
  commit(): void {
    this.#written = { size: this.#state.size, tip: this.#state.tip };
    this.#clear();
    forgetOldKeys(this.#state);
  }

  rollBack(): void {
    for (const key of this.#keys) this.#state.keys.delete(key);
    this.#takeBack(this.#written.size, this.#written.tip);
    this.#clear();
  }

  #clear(): void {
    this.#buffer.clear();
    this.#streams = [];
    this.#versions = [];
    this.#keys = [];
  }

  /** Takes the newest staged records back until the state has `size` records again, the last with the leaf hash `tip`. */
  #takeBack(size: number, tip: string): void {
    const state = this.#state;
    const left = size - this.#written.size;
    while (this.#streams.length > left) {
      const stream = this.#streams.pop()!;
      const version = this.#versions.pop();
      if (version === undefined) state.streams.delete(stream);
      else state.streams.set(stream, version);
    }
    this.#buffer.truncate(left);
    state.size = size;
    state.tip = tip;
  }

  #checkExpected(expected: Record<string, number> | undefined): void {
    if (!expected) return;
    for (const [stream, wanted] of Object.entries(expected)) {
      const actual = this.#state.streams.get(stream) ?? -1;
      if (actual === wanted) continue;
      throw new DavyError(
        ledgerErrors.conflict,
        `Stream ${stream} is at version ${actual}, the caller expected ${wanted}.`,
      );
    }
  }

  #now(): string {
    const ms = this.#options.nowMs();
    if (ms !== this.#lastMs) {
      this.#lastMs = ms;
      this.#time = new Date(ms).toISOString();
    }
    return this.#time;
  }
}

function tooLargeError(entry: string, type: string): DavyError {
  const bytes = Buffer.byteLength(entry) - 1;
  return new DavyError(
    ledgerErrors['record-too-large'],
    `The record ${type} would be ${bytes} bytes long; the limit is ${MAX_LINE_BYTES}.`,
  );
}

/** Throws `ledger/bad-event` when an append is empty, too long, or its key is no key. */
export function checkAppend(events: number, key: string | undefined): void {
  if (events < 1 || events > MAX_EVENTS_PER_APPEND) {
    throw new DavyError(
      ledgerErrors['bad-event'],
      `An append holds 1 to ${MAX_EVENTS_PER_APPEND} events, this one ${events}.`,
    );
  }
  if (key !== undefined && (key.length < 1 || key.length > 200 || !key.isWellFormed())) {
    throw new DavyError(ledgerErrors['bad-event'], 'An idempotency key is a text of 1 to 200 characters.');
  }
}

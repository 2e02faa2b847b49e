import { DavyError } from '../lib/error.ts';
import {
  encodeLine,
  leafHash,
  MAX_EVENTS_PER_APPEND,
  MAX_LINE_BYTES,
  type Place,
  type PreparedEvent,
  recordOf,
} from './codec.ts';
import { ledgerErrors } from './errors.ts';
import type { ChainRecord } from './fast-line.ts';
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
export function applyRecord(state: SequencerState, record: ChainRecord, leafHex: string): void {
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

export interface Staged {
  records: LedgerRecord[];
  lines: string[];
  leaves: string[];
}

/** What an append changed. */
interface Undo {
  size: number;
  tip: string;
  /** Version before, per event. */
  versions: [stream: string, version: number | undefined][];
  key: string | undefined;
}

export interface SequencerOptions {
  writerId: string;
  term: number;
  newId: () => string;
  nowMs: () => number;
}

/**
 * Gives appends their place in the chain. Staging moves a tentative state ahead of the durable one; when the write
 * did not happen, `rollBack` returns to the durable state. Pure but for the clock and ids it was given.
 */
export class Sequencer {
  readonly #state: SequencerState;
  readonly #options: SequencerOptions;
  #undo: Undo[] = [];
  #lastMs = -1;
  #time = '';

  constructor(state: SequencerState, options: SequencerOptions) {
    this.#state = state;
    this.#options = options;
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
  stage(request: AppendRequest): Staged {
    this.#checkExpected(request.expected);
    const state = this.#state;
    const before: Undo = { size: state.size, tip: state.tip, versions: [], key: request.key };
    this.#undo.push(before);
    const count = request.events.length;
    const staged: Staged = { records: new Array(count), lines: new Array(count), leaves: new Array(count) };
    const time = this.#now();
    try {
      for (let i = 0; i < count; i++) this.#place(request, i, time, staged, before);
    } catch (error) {
      this.#undo.pop();
      this.#take(before);
      throw error;
    }
    if (request.key !== undefined) state.keys.set(request.key, [before.size, count]);
    return staged;
  }

  #place(request: AppendRequest, i: number, time: string, staged: Staged, { versions }: Undo): void {
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
      sv: (last ?? -1) + 1,
      key: i === 0 ? request.key : undefined,
      tx: [i + 1, request.events.length],
    };
    const line = encodeLine(place, event);
    checkLength(line, event.type);
    versions.push([event.stream, last]);
    state.streams.set(event.stream, place.sv);
    state.size += 1;
    state.tip = leafHash(line);
    staged.records[i] = recordOf(place, event);
    staged.lines[i] = line;
    staged.leaves[i] = state.tip;
  }

  /** The staged records are durable. */
  commit(): void {
    this.#undo = [];
    forgetOldKeys(this.#state);
  }

  rollBack(): void {
    for (const before of this.#undo.reverse()) this.#take(before);
    this.#undo = [];
  }

  /** Takes the state back to what it was before an append. */
  #take({ size, tip, versions, key }: Undo): void {
    const state = this.#state;
    state.size = size;
    state.tip = tip;
    if (key !== undefined) state.keys.delete(key);
    for (const [stream, version] of versions.reverse()) {
      if (version === undefined) state.streams.delete(stream);
      else state.streams.set(stream, version);
    }
  }

  #checkExpected(expected: Record<string, number> | undefined): void {
    if (!expected) return;
    for (const stream of Object.keys(expected)) {
      const actual = this.#state.streams.get(stream) ?? -1;
      if (actual === expected[stream]) continue;
      throw new DavyError(
        ledgerErrors.conflict,
        `Stream ${stream} is at version ${actual}, the caller expected ${expected[stream]}.`,
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

function checkLength(line: string, type: string): void {
  // A UTF-16 unit is at most 3 bytes of UTF-8, so most lines need no count.
  if (line.length * 3 <= MAX_LINE_BYTES) return;
  const bytes = Buffer.byteLength(line);
  if (bytes <= MAX_LINE_BYTES) return;
  throw new DavyError(
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

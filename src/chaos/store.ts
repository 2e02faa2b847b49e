import { randomUUID } from 'node:crypto';
import type { Ledger } from '../ledger/ledger.ts';
import type { Actor, NewEvent } from '../ledger/record.ts';
import { messageOf } from '../lib/error.ts';
import type { Log } from '../lib/log.ts';
import { type ChaosEvent, isLowering, toNewEvent } from './events.ts';
import { type ChaosState, emptyChaos, evolve } from './state.ts';

const engine: Actor = { kind: 'controller', id: 'davy' };

/** The room's fold and its ledger: the only place where its state changes. */
export interface ChaosStore {
  load(): Promise<void>;
  state(): ChaosState;
  /**
   * Decides on the newest state, makes the events durable, folds them. Events that end a fault take effect even when
   * the ledger cannot be written; they follow with the next append. Others reject.
   */
  commit(decide: (state: ChaosState) => ChaosEvent[], actor?: Actor): Promise<ChaosState>;
  subscribe(listener: () => void): () => void;
}

export function createChaosStore(parts: { ledger: Ledger; nowMs: () => number; log: Log }): ChaosStore {
  const { ledger, nowMs, log } = parts;
  let state = emptyChaos();
  let late: NewEvent[] = [];
  let tail: Promise<unknown> = Promise.resolve();
  const listeners = new Set<() => void>();

  async function append(events: NewEvent[], reserve: boolean): Promise<void> {
    const batch = [...late, ...events];
    await ledger.append(batch, { reserve, idempotencyKey: randomUUID() });
    late = [];
  }

  async function commitNow(decide: (state: ChaosState) => ChaosEvent[], actor: Actor): Promise<ChaosState> {
    const events = decide(state);
    if (events.length === 0) return state;
    const records = events.map((event) => toNewEvent(event, actor));
    const lowering = events.every(isLowering);
    try {
      await append(records, lowering);
    } catch (error) {
      if (!lowering) throw error;
      log.error({ error: messageOf(error), events: events.map((event) => event.type) }, 'chaos: recorded late');
      late = [...late, ...records];
    }
    const context = { atMs: nowMs(), by: actor.id };
    state = events.reduce((before, event) => evolve(before, event, context), state);
    for (const listener of listeners) listener();
    return state;
  }

  return {
    async load() {
      for await (const record of ledger.read(0)) {
        if (!record.type.startsWith('chaos.')) continue;
        const event = { type: record.type, data: record.data } as unknown as ChaosEvent;
        state = evolve(state, event, { atMs: Date.parse(record.time), by: record.actor.id });
      }
    },
    state: () => state,
    commit(decide, actor = engine) {
      const run = tail.then(() => commitNow(decide, actor));
      tail = run.catch(() => {});
      return run;
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

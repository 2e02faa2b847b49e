import { createMemoryStore, type MemoryStore } from '../../src/ledger/memory-ledger.ts';
import type { Clock } from '../../src/lib/clock.ts';

/** What copies of a ledger there could be: how long it was, and whose turn it was, at every time. */
export function createPast(clock: Clock) {
  let copies: { atMs: number; size: number; term: number }[] = [];

  return {
    note(store: MemoryStore): void {
      if (copies.at(-1)?.size === store.lines.length) return;
      copies.push({ atMs: clock.monoMs(), size: store.lines.length, term: store.term });
    },
    /** A store of its own, as it was `backMs` ago: whoever has the other one open does not write into this one. */
    restore(store: MemoryStore, backMs: number): MemoryStore {
      const untilMs = clock.monoMs() - backMs;
      const copy = copies.findLast(({ atMs, size }) => atMs <= untilMs && size > 0) ?? copies[0];
      copies = copies.filter(({ atMs }) => copy !== undefined && atMs <= copy.atMs);
      const old = createMemoryStore();
      old.lines = store.lines.slice(0, copy?.size ?? 0);
      old.term = copy?.term ?? 0;
      return old;
    },
    wipe(): MemoryStore {
      copies = [];
      return createMemoryStore();
    },
  };
}

import { performance } from 'node:perf_hooks';

/** Something with one deadline. `deadlineMs` is on the monotonic clock; 0 means none. */
export interface Timed {
  deadlineMs: number;
  /** Links of the wheel's lists; touched by the wheel only. */
  wheelNext: Timed | null;
  wheelPrevious: Timed | null;
  wheelSlot: number;
  onDeadline(nowMs: number): void;
}

const TICK_MS = 8;
const SLOTS = 4096;

/**
 * Deadlines for everything on the request path, without a timer object per request. Moving a deadline later is one
 * field write: the entry stays in its slot and is filed anew when that slot comes round. Entries fire at most
 * two ticks (16 ms) late, never early.
 */
export class Wheel {
  private readonly slots: (Timed | null)[] = new Array(SLOTS).fill(null);
  private tick = Math.floor(performance.now() / TICK_MS);
  private count = 0;
  private timer: NodeJS.Timeout | null = null;

  set(entry: Timed, deadlineMs: number): void {
    entry.deadlineMs = deadlineMs;
    const due = Math.floor(deadlineMs / TICK_MS) + 1;
    if (entry.wheelSlot >= 0) {
      if (entry.wheelSlot <= due) return;
      this.unlink(entry);
    }
    this.link(entry, due);
  }

  clear(entry: Timed): void {
    entry.deadlineMs = 0;
    if (entry.wheelSlot >= 0) this.unlink(entry);
  }

  private link(entry: Timed, due: number): void {
    // Slots further away than one turn are visited earlier and filed again.
    const slot = Math.max(this.tick + 1, Math.min(due, this.tick + SLOTS - 1));
    const head = this.slots[slot % SLOTS] ?? null;
    entry.wheelSlot = slot;
    entry.wheelNext = head;
    entry.wheelPrevious = null;
    if (head !== null) head.wheelPrevious = entry;
    this.slots[slot % SLOTS] = entry;
    if (this.count++ === 0) this.start();
  }

  private unlink(entry: Timed): void {
    if (entry.wheelPrevious !== null) entry.wheelPrevious.wheelNext = entry.wheelNext;
    else this.slots[entry.wheelSlot % SLOTS] = entry.wheelNext;
    if (entry.wheelNext !== null) entry.wheelNext.wheelPrevious = entry.wheelPrevious;
    entry.wheelNext = entry.wheelPrevious = null;
    entry.wheelSlot = -1;
    this.count--;
  }

  private start(): void {
    this.tick = Math.max(this.tick, Math.floor(performance.now() / TICK_MS) - 1);
    if (this.timer === null) this.timer = setInterval(() => this.turn(), TICK_MS).unref();
  }

  private turn(): void {
    const nowMs = performance.now();
    const target = Math.floor(nowMs / TICK_MS);
    // After a long stall one whole turn visits every slot once.
    if (target - this.tick > SLOTS) this.tick = target - SLOTS;
    while (this.tick < target) this.visit(++this.tick, nowMs);
    if (this.count === 0 && this.timer !== null) {
      clearInterval(this.timer);
      this.timer = null;
    }
  }

  private visit(tick: number, nowMs: number): void {
    let entry = this.slots[tick % SLOTS] ?? null;
    this.slots[tick % SLOTS] = null;
    const due: Timed[] = [];
    while (entry !== null) {
      const next: Timed | null = entry.wheelNext;
      entry.wheelNext = entry.wheelPrevious = null;
      entry.wheelSlot = -1;
      this.count--;
      if (entry.deadlineMs > nowMs) this.link(entry, Math.floor(entry.deadlineMs / TICK_MS) + 1);
      else if (entry.deadlineMs > 0) due.push(entry);
      entry = next;
    }
    for (const late of due) {
      // An earlier one of this batch may have cleared or moved it.
      if (late.wheelSlot >= 0 || late.deadlineMs === 0 || late.deadlineMs > nowMs) continue;
      late.deadlineMs = 0;
      late.onDeadline(nowMs);
    }
  }
}

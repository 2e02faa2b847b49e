import type { Clock } from '../lib/clock.ts';

const SAMPLE_EVERY_MS = 60_000;
/** The rate is that of the last hour. */
const MAX_SAMPLES = 60;
const DAY_MS = 86_400_000;

/** How large the log is now. */
export interface LedgerSize {
  records: number;
  /** Of the log's files; attachments and tiles come on top. */
  bytes: number;
}

/** What a day would add at the rate of the last hour (or of what there is of it). */
export interface LedgerGrowth {
  recordsPerDay: number;
  bytesPerDay: number;
  /** The time that was measured. */
  overMs: number;
}

/** Watches a ledger grow. */
export class GrowthWatch {
  readonly #clock: Clock;
  readonly #size: () => LedgerSize;
  readonly #samples: (LedgerSize & { atMs: number })[] = [];
  #cancel: () => void = () => {};

  constructor(clock: Clock, size: () => LedgerSize) {
    this.#clock = clock;
    this.#size = size;
    this.#sample();
  }

  #sample(): void {
    this.#samples.push({ ...this.#size(), atMs: this.#clock.monoMs() });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
    this.#cancel = this.#clock.after(SAMPLE_EVERY_MS, () => this.#sample(), true);
  }

  size(): LedgerSize {
    return this.#size();
  }

  /** Null in the first minute: a rate would say nothing. */
  growth(): LedgerGrowth | null {
    const first = this.#samples[0]!;
    const now = this.#size();
    const overMs = this.#clock.monoMs() - first.atMs;
    if (overMs < SAMPLE_EVERY_MS) return null;
    const perDay = (added: number): number => Math.max(0, Math.round((added / overMs) * DAY_MS));
    return {
      recordsPerDay: perDay(now.records - first.records),
      bytesPerDay: perDay(now.bytes - first.bytes),
      overMs: Math.round(overMs),
    };
  }

  stop(): void {
    this.#cancel();
  }
}

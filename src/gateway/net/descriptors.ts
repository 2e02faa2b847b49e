/**
 * File descriptors of this process. When they run out, libuv accepts and closes whatever waits, the admin address's connections too: nothing could be
 * lowered or renewed. So the data path leaves some of them alone, and refuses by itself before there are none.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { limits } from '../limits.ts';
import { stamp } from './now.ts';

/** Counting them takes as long as there are many: where they are short it is done no more often than this, and once in a millisecond for 20 of them. */
const COUNT_EVERY_MS = 20;
/** Others than those of the data path come and go as well, so it is done this often in any case. */
const COUNT_ANYWAY_MS = 1_000;
/** A refusal is news for this long. */
const NEWS_MS = 60_000;
const LOG_EVERY_MS = 10_000;

export interface DescriptorSource {
  /** How many the process may have; null where the system does not say. */
  limit(): number | null;
  /** How many it has; null where the system does not say. */
  open(): number | null;
}

export interface DescriptorReport {
  /** Null where the system does not say. */
  limit: number | null;
  open: number | null;
  /** Client connections closed and requests answered with 503 since descriptors were short. */
  refused: number;
}

export class Descriptors {
  readonly limit: number | null;
  private readonly source: DescriptorSource;
  /** Where it is said that they are short; nowhere unless the process has set it. */
  log: (sentence: string) => void = () => {};
  private refused = 0;
  /** Those counted last, and what the data path has opened and closed since. */
  private estimate = 0;
  private countedMs = Number.NEGATIVE_INFINITY;
  private refusedMs = Number.NEGATIVE_INFINITY;
  private loggedMs = Number.NEGATIVE_INFINITY;

  constructor(source: DescriptorSource) {
    this.source = source;
    this.limit = source.limit();
  }

  /** What the data path may use. */
  private get usable(): number {
    return this.limit === null ? Number.POSITIVE_INFINITY : Math.max(0, this.limit - limits.reservedDescriptors);
  }

  /** A client was accepted: whether it may stay. A quarter is kept for connections to instances, without which no client is served. */
  mayAccept(nowMs = stamp()): boolean {
    return this.grant(this.usable * 0.75, nowMs);
  }

  /** Whether a connection to an instance, or to the target of a tunnel, may be opened. */
  mayConnect(nowMs = stamp()): boolean {
    return this.grant(this.usable, nowMs);
  }

  private grant(most: number, nowMs: number): boolean {
    if (this.limit === null) return true;
    if (this.estimate + 1 > most) this.count(nowMs, Math.max(COUNT_EVERY_MS, this.estimate / 20));
    else this.count(nowMs, COUNT_ANYWAY_MS);
    if (this.estimate + 1 > most) {
      this.refuse(nowMs);
      return false;
    }
    this.estimate++;
    return true;
  }

  /** One that was granted is closed. */
  closed(): void {
    this.estimate--;
  }

  private count(nowMs: number, everyMs: number): void {
    if (nowMs - this.countedMs < everyMs) return;
    this.countedMs = nowMs;
    this.estimate = this.source.open() ?? this.estimate;
  }

  private refuse(nowMs: number): void {
    this.refused++;
    this.refusedMs = nowMs;
    if (nowMs - this.loggedMs < LOG_EVERY_MS) return;
    this.loggedMs = nowMs;
    this.log(this.sentence());
  }

  private sentence(): string {
    const { limit, refused, estimate } = this;
    return `The gateway has ${estimate} of its ${limit} descriptors open and refuses connections (${refused} so far); raise the limit (ulimit -n) or add gateways.`;
  }

  /** A sentence for people while descriptors are short, or were a moment ago; null otherwise. */
  warning(nowMs = stamp()): string | null {
    return nowMs - this.refusedMs < NEWS_MS ? this.sentence() : null;
  }

  report(nowMs = stamp()): DescriptorReport {
    if (this.limit === null) return { limit: null, open: null, refused: 0 };
    this.count(nowMs, COUNT_ANYWAY_MS);
    return { limit: this.limit, open: this.estimate, refused: this.refused };
  }
}

/** Linux: proc(5). Elsewhere nothing is known, and nothing is refused. */
const thisProcess: DescriptorSource = {
  limit() {
    try {
      const match = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
      return match === null ? null : Number(match[1]);
    } catch {
      return null;
    }
  },
  open() {
    try {
      // One of them is the folder that is read.
      return readdirSync('/proc/self/fd').length - 1;
    } catch {
      return null;
    }
  },
};

/** Those of the process that runs this. */
export const descriptors = new Descriptors(thisProcess);

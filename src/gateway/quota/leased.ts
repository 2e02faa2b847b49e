import type { RateLimitSpec } from '../../spec/model.ts';
import type { Limiter, LimitView, Places, QuotaSource } from './quota.ts';
import type { Grant } from './quota-book.ts';
import { limitView } from './token-bucket.ts';

/** A parent that does not answer for this long is gone or stuck: who waits is refused. */
const PATIENCE_MS = 5_000;

export interface LeaseOptions {
  nowMs: () => number;
  /** Tells the parent that requests wait for `need` units while `left` are at hand. It answers by `LeasedQuotas.grant`. */
  ask: (key: string, need: number, left: number) => void;
}

/** What one process has of a limit that its parent holds whole. */
class Lease implements Places {
  protected readonly options: LeaseOptions;
  private readonly key: string;
  private readonly onRecall: (() => void) | undefined;
  protected atHand = 0;
  /** What came ahead of the need with the last answer. */
  private cameAhead = 0;
  private needed = 0;
  private refusedUntilMs = 0;
  private waiting: (() => void)[] = [];
  /** Runs while an answer is awaited. */
  private patience: NodeJS.Timeout | null = null;

  constructor(key: string, options: LeaseOptions, onRecall?: () => void) {
    this.key = key;
    this.options = options;
    this.onRecall = onRecall;
  }

  isDecided(nowMs: number): boolean {
    return this.atHand > 0 || nowMs < this.refusedUntilMs;
  }

  whenDecided(callback: () => void): void {
    this.waiting.push(callback);
    this.ask(0);
  }

  take(nowMs: number): boolean {
    if (this.atHand > 0) {
      this.atHand--;
      if (this.atHand * 2 < this.cameAhead) this.ask(0);
      return true;
    }
    // Who does not wait for the answer finds it here the next time.
    if (nowMs >= this.refusedUntilMs) this.ask(1);
    return false;
  }

  give(): void {
    this.atHand++;
  }

  /** One question at a time, at the end of the turn: it speaks for all who came meanwhile. */
  private ask(atLeast: number): void {
    if (this.patience !== null) return;
    this.patience = setTimeout(() => this.grant({ units: 0, refusedForMs: PATIENCE_MS, left: 0 }), PATIENCE_MS);
    setImmediate(() => {
      this.needed = Math.max(atLeast, this.waiting.length);
      this.options.ask(this.key, this.needed, this.atHand);
    });
  }

  grant({ units, refusedForMs }: Grant): void {
    this.atHand += units;
    this.cameAhead = Math.max(0, units - this.needed);
    this.refusedUntilMs = this.options.nowMs() + refusedForMs;
    if (this.patience !== null) clearTimeout(this.patience);
    this.patience = null;
    // In the order in which they came; those that came after the question may have to ask anew.
    for (const decided of this.waiting.splice(0)) decided();
  }

  /** Gives up what is at hand. */
  recall(): number {
    this.onRecall?.();
    const units = this.atHand;
    this.atHand = 0;
    return units;
  }

  /** The bounds have changed: what was refused may be granted now. */
  renew(): void {
    this.refusedUntilMs = 0;
  }
}

class LeasedLimiter extends Lease implements Limiter {
  private limit: RateLimitSpec;
  /** In the parent's bucket, as it said last. */
  private tokens: number;
  private atMs = 0;

  constructor(key: string, options: LeaseOptions, limit: RateLimitSpec) {
    super(key, options);
    this.limit = limit;
    this.tokens = limit.burst;
  }

  resize(limit: RateLimitSpec): void {
    this.limit = limit;
    this.renew();
  }

  override grant(grant: Grant): void {
    this.tokens = grant.left;
    this.atMs = this.options.nowMs();
    super.grant(grant);
  }

  /** As far as this process knows: what others took meanwhile it learns with the next answer. */
  view(nowMs: number): LimitView {
    const { perSecond, burst } = this.limit;
    const grown = this.tokens + (Math.max(0, nowMs - this.atMs) * perSecond) / 1000;
    return limitView(perSecond, burst, Math.min(burst, grown + this.atHand));
  }

  tokensAt(): number {
    return this.atHand;
  }

  /** Its parent goes on with them. */
  fillTo(): void {}
}

/** The limits of one of several processes. */
export class LeasedQuotas implements QuotaSource {
  readonly isShared = true;
  private readonly options: LeaseOptions;
  private readonly limiters = new Map<string, LeasedLimiter>();
  private readonly rooms = new Map<string, { lease: Lease; count: number }>();

  constructor(options: LeaseOptions) {
    this.options = options;
  }

  limiter(key: string, limit: RateLimitSpec): LeasedLimiter {
    const known = this.limiters.get(key);
    if (known !== undefined) {
      known.resize(limit);
      return known;
    }
    const limiter = new LeasedLimiter(key, this.options, limit);
    this.limiters.set(key, limiter);
    return limiter;
  }

  places(key: string, count: number, onRecall?: () => void): Places {
    const known = this.rooms.get(key);
    if (known === undefined) {
      const lease = new Lease(key, this.options, onRecall);
      this.rooms.set(key, { lease, count });
      return lease;
    }
    if (known.count !== count) known.lease.renew();
    known.count = count;
    return known.lease;
  }

  /** The parent's answer to a question about `key`. */
  grant(key: string, grant: Grant): void {
    this.leaseOf(key)?.grant(grant);
  }

  /** The parent wants back what is at hand. */
  recall(key: string): number {
    return this.leaseOf(key)?.recall() ?? 0;
  }

  private leaseOf(key: string): Lease | undefined {
    return this.limiters.get(key) ?? this.rooms.get(key)?.lease;
  }
}

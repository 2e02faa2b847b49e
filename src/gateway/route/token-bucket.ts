/**
 * A token bucket, filled lazily on the monotonic clock: one token per request, `burst` is the capacity. A step of the
 * wall clock gives no free burst because the wall clock is never read.
 */
export class TokenBucket {
  readonly perSecond: number;
  readonly burst: number;
  private tokens: number;
  private filledAtMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.tokens = burst;
    this.filledAtMs = nowMs;
  }

  take(nowMs: number): boolean {
    const elapsedMs = Math.max(0, nowMs - this.filledAtMs);
    this.filledAtMs = Math.max(this.filledAtMs, nowMs);
    this.tokens = Math.min(this.burst, this.tokens + (elapsedMs * this.perSecond) / 1000);
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }

  /** Whole tokens left. */
  get remaining(): number {
    return Math.floor(this.tokens);
  }

  /** Whole seconds until there is a token again, at least 1. */
  get secondsToToken(): number {
    return Math.max(1, Math.ceil((1 - this.tokens) / this.perSecond));
  }

  /** Whole seconds until the bucket is full, at least 1: the reset time of the RateLimit field. */
  get secondsToFull(): number {
    return Math.max(1, Math.ceil((this.burst - this.tokens) / this.perSecond));
  }

  /** The same fill level under other settings. */
  resized(perSecond: number, burst: number): TokenBucket {
    const next = new TokenBucket(perSecond, burst, this.filledAtMs);
    next.tokens = Math.min(burst, (this.tokens / this.burst) * burst);
    return next;
  }
}

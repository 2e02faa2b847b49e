/**
 * A token bucket, filled lazily on the monotonic clock: one token per request, `burst` is the capacity. A step of the
 * wall clock gives no free burst because the wall clock is never read. One of several processes holds its `share` of it.
 */
export class TokenBucket {
  perSecond: number;
  burst: number;
  /** Requests that asked for a token; what the share is measured by. */
  asked = 0;
  private share: number;
  private tokens: number;
  private filledAtMs: number;

  constructor(perSecond: number, burst: number, nowMs: number, share = 1, full = true) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.share = share;
    this.tokens = full ? burst * share : 0;
    this.filledAtMs = nowMs;
  }

  take(nowMs: number): boolean {
    this.asked++;
    this.fill(nowMs);
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }

  private fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.filledAtMs);
    this.filledAtMs = Math.max(this.filledAtMs, nowMs);
    // A share of less than one token must still be able to hold one.
    const capacity = Math.max(1, this.burst * this.share);
    this.tokens = Math.min(capacity, this.tokens + (elapsedMs * this.perSecond * this.share) / 1000);
  }

  /** Takes on other settings. Tokens are never made by it: what is there is kept as far as it fits. */
  resize(perSecond: number, burst: number, share: number, nowMs: number): void {
    this.fill(nowMs);
    this.perSecond = perSecond;
    this.burst = burst;
    this.share = share;
    this.fill(nowMs);
  }

  tokensAt(nowMs: number): number {
    this.fill(nowMs);
    return this.tokens;
  }

  /** Goes on with what another process had left. */
  fillTo(tokens: number, nowMs: number): void {
    this.tokens = tokens;
    this.fill(nowMs);
  }

  /** Whole tokens left. */
  get remaining(): number {
    return Math.floor(this.tokens);
  }

  /** Whole seconds until there is a token again, at least 1. */
  get secondsToToken(): number {
    return Math.max(1, Math.ceil((1 - this.tokens) / (this.perSecond * this.share)));
  }

  /** Whole seconds until the bucket is full, at least 1: the reset time of the RateLimit field. */
  get secondsToFull(): number {
    return Math.max(1, Math.ceil((this.burst * this.share - this.tokens) / (this.perSecond * this.share)));
  }
}

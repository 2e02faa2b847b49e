import type { Limiter, LimitView } from './quota.ts';

/**
 * A token bucket, filled lazily on the monotonic clock: one token per request, `burst` is the capacity. A step of the
 * wall clock gives no free burst because the wall clock is never read.
 */
export class TokenBucket implements Limiter {
  perSecond: number;
  burst: number;
  private tokens: number;
  /** Tokens that lie elsewhere unspent, and have their place in the capacity. */
  private lentOut = 0;
  private filledAtMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.perSecond = perSecond;
    this.burst = burst;
    this.tokens = burst;
    this.filledAtMs = nowMs;
  }

  isDecided(): boolean {
    return true;
  }

  whenDecided(callback: () => void): void {
    setImmediate(callback);
  }

  take(nowMs: number): boolean {
    return this.takeUpTo(1, nowMs) === 1;
  }

  /** Takes as many whole tokens as there are, `count` at most. */
  takeUpTo(count: number, nowMs: number): number {
    this.fill(nowMs);
    const taken = Math.min(count, Math.floor(this.tokens));
    this.tokens -= taken;
    return taken;
  }

  /** Puts back what was taken and not used. */
  putBack(count: number, nowMs: number): void {
    this.fill(nowMs);
    this.tokens = Math.min(this.capacity, this.tokens + count);
  }

  /** `lentOut` tokens are unspent elsewhere: so many fewer may gather here. */
  reserve(lentOut: number, nowMs: number): void {
    this.fill(nowMs);
    this.lentOut = lentOut;
    this.fill(nowMs);
  }

  private get capacity(): number {
    return Math.max(0, this.burst - this.lentOut);
  }

  private fill(nowMs: number): void {
    const elapsedMs = Math.max(0, nowMs - this.filledAtMs);
    this.filledAtMs = Math.max(this.filledAtMs, nowMs);
    this.tokens = Math.min(this.capacity, this.tokens + (elapsedMs * this.perSecond) / 1000);
  }

  /** Takes on other settings. Tokens are never made by it: what is there is kept as far as it fits. */
  resize(perSecond: number, burst: number, nowMs: number): void {
    this.fill(nowMs);
    this.perSecond = perSecond;
    this.burst = burst;
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

  /** Until there is a whole token, at least 1. */
  msToToken(nowMs: number): number {
    return Math.max(1, Math.ceil(((1 - this.tokensAt(nowMs)) * 1000) / this.perSecond));
  }

  view(nowMs: number): LimitView {
    return limitView(this.perSecond, this.burst, this.tokensAt(nowMs));
  }
}

export function limitView(perSecond: number, burst: number, tokens: number): LimitView {
  const seconds = (missing: number): number => Math.max(1, Math.ceil(missing / perSecond));
  return {
    ...{ perSecond, burst },
    remaining: Math.floor(tokens),
    secondsToToken: seconds(1 - tokens),
    secondsToFull: seconds(burst - tokens),
  };
}

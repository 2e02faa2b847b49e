import type { BreakerRoute } from '../../traffic/model.ts';

/** The route breaker: closed, open for a time after failures in a row, then half-open with one probe at a time. */
export class Breaker {
  private failures = 0;
  private opensUntilMs = 0;
  private probing = false;

  /** Whether a request may pass. In the half-open state it passes as the probe. */
  admits(nowMs: number): boolean {
    if (this.opensUntilMs === 0) return true;
    if (nowMs < this.opensUntilMs || this.probing) return false;
    this.probing = true;
    return true;
  }

  note(failed: boolean, config: BreakerRoute, nowMs: number): void {
    this.failures = failed ? this.failures + 1 : 0;
    const wasProbe = this.probing;
    this.probing = false;
    if (!failed) this.opensUntilMs = 0;
    else if (wasProbe || this.failures >= config.consecutive5xx) this.opensUntilMs = nowMs + config.openMs;
  }

  /** The probe ended without saying anything about the service (its client left). */
  releaseProbe(): void {
    this.probing = false;
  }

  /** Whole seconds until a probe may pass, at least 1. */
  secondsToProbe(nowMs: number): number {
    return Math.max(1, Math.ceil((this.opensUntilMs - nowMs) / 1000));
  }
}

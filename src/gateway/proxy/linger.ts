import { limits } from '../limits.ts';

/** How long a connection whose last answer is written stays open for the client to read it (RFC 9112 section 9.6). One per connection. */
export class Linger {
  /** Input came since `goesOn` was asked last. It is thrown away. */
  stillSending = false;
  private sinceMs = 0;
  /** Octets of the answer that had not left then, and since when none did. */
  private unsent = 0;
  private stuckSinceMs = 0;

  begin(unsent: number, nowMs: number): void {
    this.stillSending = false;
    this.unsent = unsent;
    this.sinceMs = this.stuckSinceMs = nowMs;
  }

  /** A client that is still sending may read the answer afterwards; one that reads slowly is still reading it. */
  goesOn(unsent: number, nowMs: number): boolean {
    const sending = this.stillSending && nowMs - this.sinceMs < limits.lingerMaxMs;
    this.stillSending = false;
    return this.isLeaving(unsent, nowMs) || sending;
  }

  /** Whether octets of the answer are on their way to a slow client, and not stuck for good. */
  private isLeaving(unsent: number, nowMs: number): boolean {
    const before = this.unsent;
    this.unsent = unsent;
    if (unsent < before) this.stuckSinceMs = nowMs;
    return before > 0 && nowMs - this.stuckSinceMs < limits.bodyIdleMs;
  }
}

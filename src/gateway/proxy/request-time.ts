import type { Head } from '../http1/head.ts';
import { grpcTimeoutMs } from '../http2/grpc.ts';
import { limits } from '../limits.ts';
import type { Route } from '../route/route.ts';
import { type Failure, failures } from './failure.ts';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * How long one request may take, and whose word that is: the route's (`timeout`, `perTry`), the call's own (`grpc-timeout`), or the gateway's,
 * which keeps nothing in which nothing moves. All times are monotonic, in ms.
 *
 * A gRPC call has the deadline that it brings with it, and none without (PROTOCOL-HTTP2, "Timeout"): calls that stream stay open for as long as both
 * sides like, and no server that is asked without a deadline need ever answer. The route's time is for requests that are answered.
 */
export class RequestTime {
  /** All tries together, up to the answer's head; of a gRPC call, to its end. */
  endsMs = 0;
  private tryEndsMs = 0;
  private isCall = false;
  private route!: Route;
  /** A call that must not be repeated has no next try for whose sake this one would be given up. */
  private repeatable = false;

  open(route: Route, nowMs: number, repeatable: boolean): void {
    this.route = route;
    this.repeatable = repeatable;
    this.isCall = false;
    this.endsMs = nowMs + route.config.timeoutMs;
  }

  /** The request turns out to be a gRPC call. */
  beginCall(head: Head, buf: Buffer, nowMs: number): void {
    this.isCall = true;
    this.endsMs = nowMs + (grpcTimeoutMs(head, buf) ?? NEVER);
  }

  /** A slow upload is the client's: the route's time runs from its end. */
  requestComplete(nowMs: number): void {
    if (!this.isCall) this.endsMs = nowMs + this.route.config.timeoutMs;
  }

  /** When the try that begins now is given up. `whole`: the request is. */
  ofTry(nowMs: number, whole: boolean): number {
    if (!this.isCall && !whole) return nowMs + limits.bodyIdleMs;
    const perTryMs = this.isCall && !this.repeatable ? NEVER : this.route.perTryMs;
    this.tryEndsMs = nowMs + perTryMs;
    const endsMs = Math.min(this.tryEndsMs, this.endsMs);
    return this.isCall ? Math.min(endsMs, nowMs + this.silenceMs) : endsMs;
  }

  /** By when something must move again in an answer that has begun. */
  ofAnswer(nowMs: number): number {
    const silentMs = nowMs + this.silenceMs;
    return this.isCall ? Math.min(this.endsMs, silentMs) : silentMs;
  }

  /**
   * By when more of the request must come: anew with each piece, so that a long upload is no stalled one. `answering`: its answer has begun.
   * `heldBack`: the instance takes no more of it, which is its own slowness.
   */
  ofPiece(nowMs: number, answering: boolean, heldBack: boolean): number {
    if (this.isCall || answering) return this.ofAnswer(nowMs);
    return nowMs + (heldBack ? Math.max(limits.bodyIdleMs, this.route.config.timeoutMs) : limits.bodyIdleMs);
  }

  private get silenceMs(): number {
    return Math.max(limits.answerIdleMs, this.route.config.timeoutMs);
  }

  /** Whether the deadline of a gRPC call has passed. */
  isCallOver(nowMs: number): boolean {
    return this.isCall && nowMs >= this.endsMs;
  }

  /** Why nothing came in time, before the answer had begun. */
  lateness(nowMs: number): Failure {
    if (nowMs >= this.endsMs) return this.isCall ? failures.deadline : failures.routeTimeout;
    return this.isCall && nowMs < this.tryEndsMs ? failures.silence : failures.tryTimeout;
  }
}

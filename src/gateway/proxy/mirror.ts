import type { MirrorRoute } from '../../traffic/model.ts';
import { BodyReader, BY_CHUNKS, BY_CLOSE, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { shadowOf } from '../http1/forward.ts';
import type { Head } from '../http1/head.ts';
import { isSafeMethod } from '../http1/names.ts';
import { descriptors } from '../net/descriptors.ts';
import type { Timed, Wheel } from '../net/wheel.ts';
import type { ServiceLimits } from '../quota/service-limits.ts';
import { randomShare } from '../random.ts';
import type { Arm, Endpoint } from '../route/endpoint.ts';
import { Upstream, type UpstreamUser } from './upstream.ts';

const NOTHING = { bodyData: () => {} };

/** What a copy has in common with the requests of its route, and where copies are counted. */
export interface MirrorContext {
  readonly wheel: Wheel;
  readonly overHttp2: boolean;
  /** Time for the head of the answer. */
  readonly perTryMs: number;
  /** Time for all of it: what still comes then is let go. */
  readonly timeoutMs: number;
  /** `skipped`: copies not made because too many were in progress, or no instance was fit. */
  readonly counts: { sent: number; skipped: number; failed: number };
  /** Those of the service: copies in progress are among them. */
  readonly limits: ServiceLimits;
}

/** Sends copies of safe requests to another version, with connections and a cap of its own; primary traffic never waits for it. */
export class Mirror {
  private readonly config: MirrorRoute;
  private readonly arm: Arm;
  private readonly context: MirrorContext;

  constructor(config: MirrorRoute, arm: Arm, context: MirrorContext) {
    this.config = config;
    this.arm = arm;
    this.context = context;
  }

  /** `head`: as it is forwarded, of a request without a body. */
  offer(head: Buffer, headOnly: boolean, nowMs: number): void {
    if (randomShare() >= this.config.share) return;
    const { counts, limits } = this.context;
    const places = limits.copies;
    const endpoint = this.arm.isAvailable(nowMs) ? this.arm.pick(nowMs, []) : null;
    if (endpoint === null || !descriptors.mayConnect(nowMs) || places?.take(nowMs) === false) {
      counts.skipped++;
      return;
    }
    counts.sent++;
    new MirrorJob(endpoint, { octets: shadowOf(head), headOnly }, this.context, nowMs, (failed) => {
      places?.give();
      if (failed) counts.failed++;
    });
  }

  retire(): void {
    for (const endpoint of this.arm.endpoints) endpoint.retire();
  }
}

/** Only requests that change nothing and have no body are copied. */
export function mayCopy(head: Head): boolean {
  return isSafeMethod(head.method) && !head.chunked && head.contentLength <= 0;
}

class MirrorJob implements UpstreamUser, Timed {
  deadlineMs = 0;
  wheelNext: Timed | null = null;
  wheelPrevious: Timed | null = null;
  wheelSlot = -1;
  private readonly copy: { octets: Buffer; headOnly: boolean };
  private readonly context: MirrorContext;
  private readonly startedMs: number;
  private readonly body = new BodyReader();
  private readonly endpoint: Endpoint;
  private upstream: Upstream;
  private readonly onEnd: (failed: boolean) => void;
  private answered = false;
  private freshTried = false;
  private reusable = true;
  private ended = false;

  constructor(
    endpoint: Endpoint,
    copy: { octets: Buffer; headOnly: boolean },
    context: MirrorContext,
    nowMs: number,
    onEnd: (failed: boolean) => void,
  ) {
    this.copy = copy;
    this.context = context;
    this.startedMs = nowMs;
    this.endpoint = endpoint;
    this.onEnd = onEnd;
    endpoint.inFlight++;
    const { wheel, overHttp2, perTryMs, timeoutMs } = context;
    wheel.set(this, nowMs + Math.min(perTryMs, timeoutMs));
    this.upstream = Upstream.to(endpoint, wheel, this, overHttp2);
    if (this.upstream.connected) this.onUpstreamConnected(this.upstream);
  }

  /** A connection that the server closed as it was used is nobody's fault: once more, on a new one. */
  private repeatFresh(): void {
    const { wheel, overHttp2 } = this.context;
    this.freshTried = true;
    this.upstream = Upstream.to(this.endpoint, wheel, this, overHttp2, false);
  }

  onUpstreamConnected(upstream: Upstream): void {
    upstream.channel.writeStable(this.copy.octets);
  }

  onResponseHead(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (head.status === 101) this.end(true);
    if (head.status < 200) return head.end;
    const bodyless = this.copy.headOnly || head.status === 204 || head.status === 304;
    const kind = bodyless ? NO_BODY : head.chunked ? BY_CHUNKS : head.contentLength >= 0 ? BY_LENGTH : BY_CLOSE;
    this.body.begin(kind, head.contentLength);
    this.answered = true;
    this.context.wheel.set(this, this.startedMs + this.context.timeoutMs);
    this.reusable = !head.close && head.minor === 1 && kind !== BY_CLOSE;
    return this.onResponseBody(upstream, buf, head.end, end);
  }

  onResponseBody(upstream: Upstream, buf: Buffer, start: number, end: number): number {
    const next = this.body.feed(buf, start, end, NOTHING);
    if (this.body.failed) this.end(true);
    else if (this.body.done && this.reusable && next === end) {
      this.end(false, () => upstream.release());
    } else if (this.body.done) {
      this.end(false);
    }
    return next;
  }

  onUpstreamFault(): void {
    this.end(true);
  }

  onUpstreamGone(upstream: Upstream, answered: boolean, cleanly: boolean): void {
    if (this.ended || upstream !== this.upstream) return;
    if ((upstream.isKept || upstream.hasLeft) && !answered && !this.freshTried) this.repeatFresh();
    else this.end(!(cleanly && this.answered && this.body.kind === BY_CLOSE));
  }

  onUpstreamDrain(): void {}

  /** An answer that takes longer than a request may is let go: what is dropped anyway must not hold a place. */
  onDeadline(): void {
    this.end(!this.answered);
  }

  private end(failed: boolean, release = () => this.upstream.abandon()): void {
    if (this.ended) return;
    this.ended = true;
    this.context.wheel.clear(this);
    this.endpoint.inFlight--;
    release();
    this.onEnd(failed);
  }
}

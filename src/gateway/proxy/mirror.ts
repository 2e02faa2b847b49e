import type { MirrorRoute } from '../../traffic/model.ts';
import { BodyReader, BY_CHUNKS, BY_CLOSE, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import type { Head } from '../http1/head.ts';
import { isSafeMethod } from '../http1/names.ts';
import type { Timed, Wheel } from '../net/wheel.ts';
import { randomShare } from '../random.ts';
import type { Arm, Endpoint } from '../route/endpoint.ts';
import { Upstream, type UpstreamUser } from './upstream.ts';

const HOST_LINE = /\r\nHost: ([^\r:]+)/;
const NOTHING = { bodyData: () => {} };
const MIRROR_TIMEOUT_MS = 5_000;

/** Sends copies of safe requests to another version, with connections and a cap of its own; primary traffic never waits for it. */
export class Mirror {
  private readonly config: MirrorRoute;
  private readonly arm: Arm;
  private readonly wheel: Wheel;
  private active = 0;
  /** `skipped`: copies not made because too many were in progress, or no instance was fit. */
  private readonly counts: { sent: number; skipped: number; failed: number };

  constructor(config: MirrorRoute, arm: Arm, wheel: Wheel, counts: Mirror['counts']) {
    this.counts = counts;
    this.config = config;
    this.arm = arm;
    this.wheel = wheel;
  }

  /** `head`: the forwarded head of a request without a body. */
  offer(head: Buffer, headOnly: boolean, nowMs: number): void {
    if (randomShare() >= this.config.share) return;
    const endpoint = this.active < this.config.maxConcurrent ? this.arm.pick(nowMs, []) : null;
    if (endpoint === null) {
      this.counts.skipped++;
      return;
    }
    this.active++;
    this.counts.sent++;
    // The shadow is told apart by its Host (Envoy: `-shadow`).
    const text = head.toString('latin1').replace(HOST_LINE, '\r\nHost: $1-shadow');
    new MirrorJob(endpoint, Buffer.from(text, 'latin1'), headOnly, this.wheel, nowMs, (failed) => {
      this.active--;
      if (failed) this.counts.failed++;
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
  private readonly octets: Buffer;
  private readonly headOnly: boolean;
  private readonly wheel: Wheel;
  private readonly body = new BodyReader();
  private readonly endpoint: Endpoint;
  private readonly upstream: Upstream;
  private readonly onEnd: (failed: boolean) => void;
  private reusable = true;
  private ended = false;

  constructor(
    endpoint: Endpoint,
    octets: Buffer,
    headOnly: boolean,
    wheel: Wheel,
    nowMs: number,
    onEnd: (failed: boolean) => void,
  ) {
    this.octets = octets;
    this.headOnly = headOnly;
    this.wheel = wheel;
    this.endpoint = endpoint;
    this.onEnd = onEnd;
    endpoint.inFlight++;
    wheel.set(this, nowMs + MIRROR_TIMEOUT_MS);
    const reused = Upstream.reuse(endpoint, wheel, this);
    this.upstream = reused ?? new Upstream(endpoint, wheel, this);
    if (reused !== null) this.onUpstreamConnected(reused);
  }

  onUpstreamConnected(upstream: Upstream): void {
    upstream.channel.writeStable(this.octets);
  }

  onResponseHead(upstream: Upstream, head: Head, buf: Buffer, end: number): number {
    if (head.status < 200) return head.end;
    const bodyless = this.headOnly || head.status === 204 || head.status === 304;
    const kind = bodyless ? NO_BODY : head.chunked ? BY_CHUNKS : head.contentLength >= 0 ? BY_LENGTH : BY_CLOSE;
    this.body.begin(kind, head.contentLength);
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

  onUpstreamGone(): void {
    this.end(true);
  }

  onUpstreamDrain(): void {}

  onDeadline(): void {
    this.end(true);
  }

  private end(failed: boolean, release = () => this.upstream.abandon()): void {
    if (this.ended) return;
    this.ended = true;
    this.wheel.clear(this);
    this.endpoint.inFlight--;
    release();
    this.onEnd(failed);
  }
}

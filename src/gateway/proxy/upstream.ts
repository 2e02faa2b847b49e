import type net from 'node:net';
import { DONE, Head, MORE, parseResponseHead } from '../http1/head.ts';
import { UpstreamPipe, unprocessed } from '../http2/upstream-pipe.ts';
import { limits } from '../limits.ts';
import { Channel, type ChannelOwner } from '../net/channel.ts';
import { oldAtMs } from '../net/connection-age.ts';
import { descriptors } from '../net/descriptors.ts';
import { recent, stamp } from '../net/now.ts';
import { Remainder } from '../net/remainder.ts';
import type { Timed, Wheel } from '../net/wheel.ts';
import type { Places } from '../quota/quota.ts';
import type { Endpoint } from '../route/endpoint.ts';
import type { Claim } from './claim.ts';

/** What is told about one try on an upstream connection. */
export interface UpstreamUser {
  onUpstreamConnected(upstream: Upstream): void;
  /** A whole head; its offsets are valid during the call. `buf[head.end, end)` is body. Returns the index after what was used. */
  onResponseHead(upstream: Upstream, head: Head, buf: Buffer, end: number): number;
  onResponseBody(upstream: Upstream, buf: Buffer, start: number, end: number): number;
  /** The upstream sent something that is not HTTP, or (`beyondLimit`) more than the gateway takes. */
  onUpstreamFault(upstream: Upstream, detail: string, beyondLimit: boolean): void;
  /** The upstream sends no more. True: the connection is a tunnel, and the other direction goes on. */
  onUpstreamEnd?(upstream: Upstream): boolean;
  /** No more octets will come. `answered`: some octet of the answer had come; `cleanly`: it ended by a FIN. */
  onUpstreamGone(upstream: Upstream, answered: boolean, cleanly: boolean): void;
  onUpstreamDrain(upstream: Upstream): void;
}

/** One parsed head at a time: heads are used up within the call that hands them over. */
const head = new Head();

/** A connection to an instance: idle in its pool, or at work for one exchange. */
export class Upstream implements ChannelOwner, Timed {
  deadlineMs = 0;
  wheelNext: Timed | null = null;
  wheelPrevious: Timed | null = null;
  wheelSlot = -1;

  readonly endpoint: Endpoint;
  readonly channel: Channel;
  private readonly overHttp2: boolean;
  private readonly wheel: Wheel;
  private readonly remainder = new Remainder();
  user: UpstreamUser | null;
  connected = false;
  /** Answers completed on this connection. */
  served = 0;
  /** Why the connection failed, as the system calls it. */
  errorCode: string | undefined = undefined;
  private readonly pipe: UpstreamPipe | null;
  private headDone = false;
  private answered = false;
  private gone = false;
  private idleMs: number = limits.upstreamIdleMs;
  /** It is not used again from then on. */
  private readonly oldAtMs: number;
  /** Of the instance's host, at the time of connecting. */
  private address: string | null = null;
  /** Its place among the connections that the instance may have, until it closes. */
  private place: Places | null;

  /** `overHttp2`: one stream of the instance's shared session, used once. */
  private constructor(endpoint: Endpoint, wheel: Wheel, user: UpstreamUser, overHttp2: boolean, claim: Claim | null) {
    this.endpoint = endpoint;
    this.place = claim?.passOn() ?? null;
    this.overHttp2 = overHttp2;
    this.wheel = wheel;
    this.user = user;
    endpoint.open++;
    const { host, port } = endpoint;
    const onConnect = () => this.onConnect();
    this.pipe = overHttp2 ? new UpstreamPipe(host, port, onConnect) : null;
    this.channel =
      this.pipe === null
        ? Channel.connect(host, port, this, onConnect)
        : Channel.wrap(this.pipe as unknown as net.Socket, this);
    const nowMs = stamp();
    this.oldAtMs = oldAtMs(nowMs);
    wheel.set(this, nowMs + limits.connectTimeoutMs);
  }

  /**
   * The way to an instance, by the protocol that its service declares: an idle connection of the pool (`connected`), or a new one.
   * `mayReuse`: false asks for a new one. `claim`: what a new one takes of the caps.
   */
  static to(
    endpoint: Endpoint,
    wheel: Wheel,
    user: UpstreamUser,
    overHttp2: boolean,
    mayReuse = true,
    claim: Claim | null = null,
  ): Upstream {
    const reused = mayReuse && !overHttp2 ? Upstream.reuse(endpoint, wheel, user) : null;
    return reused ?? new Upstream(endpoint, wheel, user, overHttp2, claim);
  }

  private static reuse(endpoint: Endpoint, wheel: Wheel, user: UpstreamUser): Upstream | null {
    let upstream = endpoint.idle.pop();
    while (upstream?.gone === true) upstream = endpoint.idle.pop();
    if (upstream === undefined) return null;
    wheel.clear(upstream);
    upstream.user = user;
    upstream.headDone = upstream.answered = false;
    return upstream;
  }

  private onConnect(): void {
    this.connected = true;
    this.address = this.endpoint.host.current;
    this.wheel.clear(this);
    this.user?.onUpstreamConnected(this);
  }

  /** The connection was open before this request: that it closes may have nothing to do with it. */
  get isKept(): boolean {
    return this.served > 0 || this.pipe?.isKept === true;
  }

  /** The instance leaves, or takes no more requests on this connection, and has not worked on this one (GOAWAY). */
  get hasLeft(): boolean {
    return this.errorCode === unprocessed.leaving;
  }

  /** The instance has not worked on this request, and goes on with others (REFUSED_STREAM). */
  get hasRefused(): boolean {
    return this.errorCode === unprocessed.refused;
  }

  onDeadline(): void {
    this.close();
  }

  onBytes(buf: Buffer, start: number, end: number): void {
    const user = this.user;
    // Octets that nobody asked for would be read as the next answer (response-queue poisoning): close.
    if (user === null) {
      this.close();
      return;
    }
    this.answered = true;
    if (this.headDone) {
      if (user.onResponseBody(this, buf, start, end) < end) this.close();
      return;
    }
    if (this.remainder.length > 0) {
      this.remainder.append(buf, start, end);
      this.parseHeads(user, this.remainder.buf, 0, this.remainder.length);
    } else {
      this.parseHeads(user, buf, start, end);
    }
  }

  private parseHeads(user: UpstreamUser, buf: Buffer, start: number, end: number): void {
    let at = start;
    head.translated = this.overHttp2;
    while (at < end && this.user === user && !this.headDone) {
      const result = parseResponseHead(head, buf, at, end);
      if (result === MORE) {
        this.remainder.keep(buf, at, end);
        return;
      }
      if (result !== DONE) {
        user.onUpstreamFault(this, head.fault.detail, head.fault.beyondLimit);
        return;
      }
      if (head.status >= 200 || head.status === 101) this.headDone = true;
      if (head.keepAliveAt >= 0) this.noteKeepAlive(buf);
      at = user.onResponseHead(this, head, buf, end);
    }
    this.remainder.clear();
    // More octets came than the answer has: the connection cannot be trusted with another request.
    if (at < end) this.close();
  }

  /** Its address is not the one that the instance's host has now. */
  get isElsewhere(): boolean {
    return this.address !== this.endpoint.host.current;
  }

  private get isTooOld(): boolean {
    return recent() >= this.oldAtMs;
  }

  /** `Keep-Alive: timeout=5`: be gone a second before the server is; it may ask for less time, never for more. */
  private noteKeepAlive(buf: Buffer): void {
    const text = buf.toString('latin1', head.valueStart[head.keepAliveAt], head.valueEnd[head.keepAliveAt]);
    const match = /(?:^|[,;\s])timeout=(\d{1,6})/i.exec(text);
    if (match !== null) this.idleMs = Math.min(limits.upstreamIdleMs, Math.max(0, Number(match[1]) - 1) * 1000);
  }

  /** Back to the pool, after both messages ended cleanly. */
  release(): void {
    this.user = null;
    this.served++;
    const { idle, retired } = this.endpoint;
    const left = retired || this.gone || this.isElsewhere || this.isTooOld;
    if (left || this.idleMs === 0 || idle.length >= limits.idleUpstreams) {
      this.close();
      return;
    }
    this.headDone = false;
    this.channel.resume();
    idle.push(this);
    this.wheel.set(this, recent() + this.idleMs);
  }

  /** The exchange is done with it, and nobody may use it again. */
  abandon(): void {
    this.user = null;
    this.close();
  }

  /** Not to be used again; `onClose` follows. */
  close(): void {
    this.gone = true;
    this.leavePlace();
    this.channel.destroy();
  }

  onEnd(): void {
    this.gone = true;
    if (this.user === null) this.channel.destroy();
    else if (this.user.onUpstreamEnd?.(this) !== true) this.finished(true);
  }

  onDrain(): void {
    this.user?.onUpstreamDrain(this);
  }

  onClose(error?: NodeJS.ErrnoException): void {
    this.errorCode = error?.code;
    this.wheel.clear(this);
    this.endpoint.open--;
    if (!this.overHttp2) descriptors.closed();
    this.leavePlace();
    const index = this.endpoint.idle.indexOf(this);
    if (index >= 0) this.endpoint.idle.splice(index, 1);
    this.gone = true;
    this.finished(false);
  }

  private leavePlace(): void {
    this.place?.give();
    this.place = null;
  }

  private finished(cleanly: boolean): void {
    const user = this.user;
    this.user = null;
    user?.onUpstreamGone(this, this.answered, cleanly);
    if (!this.channel.closed) this.channel.destroy();
  }
}

import { limits } from '../limits.ts';
import type { Channel } from '../net/channel.ts';

/**
 * Octets both ways between a client and what it was connected to, after 101 (RFC 9110 section 7.8) or after CONNECT (section 9.3.6). Each
 * direction ends on its own: a FIN is passed on behind what came before it, and the other direction goes on.
 */
export class Tunnel {
  readonly client: Channel;
  readonly target: Channel;
  /** Octets from the client, and to it. */
  sentBytes = 0;
  receivedBytes = 0;
  private readonly quietMs: number;
  private halfClosed = false;
  isLeaving = false;

  /** `quietMs`: the longest silence of both sides. */
  constructor(client: Channel, target: Channel, quietMs = Number.POSITIVE_INFINITY) {
    this.client = client;
    this.target = target;
    this.quietMs = quietMs;
  }

  /** The silence that is borne now; a side that ended must not hold the other one for ever. */
  get idleMs(): number {
    return this.halfClosed ? Math.min(this.quietMs, limits.tunnelHalfClosedMs) : this.quietMs;
  }

  fromClient(buf: Buffer, start: number, end: number): void {
    this.sentBytes += end - start;
    if (end > start && !this.target.forwardFrom(this.client, buf, start, end)) this.client.pause();
  }

  fromTarget(buf: Buffer, start: number, end: number): void {
    this.receivedBytes += end - start;
    if (end > start && !this.client.forwardFrom(this.target, buf, start, end)) this.target.pause();
  }

  /** Nothing is left to be said to either side: the connections may be closed. */
  get isOver(): boolean {
    return this.isLeaving;
  }

  /** The tunnel is to end: says so to both sides where the protocol has words for it; `isOver` tells when that is done. */
  goAway(): void {
    this.isLeaving = true;
  }

  clientEnded(): void {
    this.halfClosed = true;
    this.target.end();
  }

  targetEnded(): void {
    this.halfClosed = true;
    this.client.end();
  }

  /** The client is gone: the target gets what came from it before, then the end. */
  clientGone(): void {
    this.target.endThenDestroy();
  }
}

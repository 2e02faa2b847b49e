import { randomBytes } from 'node:crypto';
import type { Channel } from '../net/channel.ts';
import { Tunnel } from './tunnel.ts';

/** The endpoint goes away (RFC 6455 section 7.4.1): the other side may connect again. */
const GOING_AWAY = 1001;
const CLOSE = 0x88;
const MASKED = 0x80;
const MASK_BYTES = 4;

/**
 * Follows the frames of one direction of a WebSocket (RFC 6455 section 5.2): a frame of ours may stand between two of theirs, and nowhere else.
 */
export class FrameTracker {
  /** Octets of the present frame's head so far; 0: no frame has begun. */
  private headAt = 0;
  /** Octets of the extended length, and of the whole head. */
  private extended = 0;
  private headLength = 2;
  private payloadLeft = 0;

  get atBoundary(): boolean {
    return this.headAt === 0 && this.payloadLeft === 0;
  }

  /** Takes the octets of `buf[start, end)`. Returns the index after the last frame that ends among them, -1 when none does. */
  feed(buf: Uint8Array, start: number, end: number): number {
    let boundary = -1;
    let at = start;
    while (at < end) {
      if (this.headAt === 0 && this.payloadLeft > 0) {
        const taken = Math.min(end - at, this.payloadLeft);
        this.payloadLeft -= taken;
        at += taken;
      } else {
        this.headOctet(buf[at++]!);
      }
      if (this.atBoundary) boundary = at;
    }
    return boundary;
  }

  private headOctet(octet: number): void {
    const at = this.headAt++;
    if (at === 1) this.lengthOctet(octet);
    // Lengths beyond 2^53 lose their last digits: nobody sends so much.
    else if (at >= 2 && at < 2 + this.extended) this.payloadLeft = this.payloadLeft * 256 + octet;
    if (this.headAt >= this.headLength) this.headAt = 0;
  }

  private lengthOctet(octet: number): void {
    const length = octet & ~MASKED;
    this.extended = length === 126 ? 2 : length === 127 ? 8 : 0;
    this.headLength = 2 + this.extended + (octet >= MASKED ? MASK_BYTES : 0);
    this.payloadLeft = this.extended === 0 ? length : 0;
  }
}

/** A tunnel that knows where frames end, so that both sides can be told that it goes away before it does. */
export class WebSocketTunnel extends Tunnel {
  private readonly up = new FrameTracker();
  private readonly down = new FrameTracker();
  private toldClient = false;
  private toldTarget = false;

  override get isOver(): boolean {
    return this.toldClient && this.toldTarget;
  }

  /** Each side gets its Close frame now, or as soon as the frame that it is in the middle of is over. */
  override goAway(): void {
    super.goAway();
    if (this.down.atBoundary) this.tellClient();
    if (this.up.atBoundary) this.tellTarget();
  }

  override fromClient(buf: Buffer, start: number, end: number): void {
    // What a client says after our Close frame, its own above all, is for us.
    if (this.toldTarget) return;
    const boundary = this.up.feed(buf, start, end);
    const last = this.isLeaving && boundary >= 0;
    super.fromClient(buf, start, last ? boundary : end);
    if (last) this.tellTarget();
  }

  override fromTarget(buf: Buffer, start: number, end: number): void {
    if (this.toldClient) return;
    const boundary = this.down.feed(buf, start, end);
    const last = this.isLeaving && boundary >= 0;
    super.fromTarget(buf, start, last ? boundary : end);
    if (last) this.tellClient();
  }

  private tellClient(): void {
    this.toldClient = true;
    send(this.client, closeFrame(null));
  }

  /** Towards the target the gateway stands in for the client, whose frames are masked (RFC 6455 section 5.3). */
  private tellTarget(): void {
    this.toldTarget = true;
    send(this.target, closeFrame(randomBytes(MASK_BYTES)));
  }
}

/** A side that has ended its own direction is told nothing more. */
function send(channel: Channel, octets: Buffer): void {
  if (channel.socket.writable) channel.writeStable(octets);
}

function closeFrame(mask: Buffer | null): Buffer {
  const payload = [GOING_AWAY >> 8, GOING_AWAY & 0xff];
  if (mask === null) return Buffer.from([CLOSE, payload.length, ...payload]);
  const masked = payload.map((octet, i) => octet ^ mask[i]!);
  return Buffer.from([CLOSE, MASKED | payload.length, ...mask, ...masked]);
}

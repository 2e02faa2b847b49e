import { Duplex } from 'node:stream';
import type { Channel, ChannelOwner } from '../net/channel.ts';
import type { FrameScan } from './frame-scan.ts';
import type { Pace, Paced } from './pace.ts';

const NOTHING = Buffer.alloc(0);

/**
 * The octets of one HTTP/2 connection between its channel and node:http2, which takes it for a socket. What the peer sent before it left is
 * read to the end before node:http2 learns that it left: that closes every stream, with all that was not read of them.
 */
export class Wire extends Duplex implements ChannelOwner, Paced {
  private channel!: Channel;
  private readonly scan: FrameScan;
  private readonly pace: Pace | null;
  private over = false;
  /** Came and waits for a turn, from `heldAt` on; the channel is paused meanwhile. */
  private held: Buffer = NOTHING;
  private heldAt = 0;
  /** The peer has ended behind what is held. */
  private ended = false;
  /** Why the connection closed, if not as it should. */
  failure: Error | undefined;

  /**
   * `scan` sees the octets first. `beforeEnd` is called when node:http2 has had all of them and is about to learn that no more come. `pace`: frames
   * are given to node:http2 no faster.
   */
  constructor(scan: FrameScan, beforeEnd: () => void, pace: Pace | null = null) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.scan = scan;
    this.pace = pace;
    // The first listener: that of node:http2 comes after it.
    this.once('end', beforeEnd);
    this.once('close', beforeEnd);
  }

  attach(channel: Channel): void {
    this.channel = channel;
  }

  onBytes(buf: Buffer, start: number, end: number): void {
    if (this.over) return;
    // The channel reads into the same memory again.
    const octets = Buffer.from(buf.subarray(start, end));
    if (this.held.length === 0) this.forward(octets, 0);
    else this.hold(Buffer.concat([this.held.subarray(this.heldAt), octets]), 0);
  }

  /** Gives `octets` from `start` on to node:http2, as far as they may go now. */
  private forward(octets: Buffer, start: number): void {
    const until = this.scan.feed(octets, start, octets.length, this.pace);
    if (until > start && !this.push(octets.subarray(start, until))) this.channel.pause();
    if (this.scan.peerLeft) {
      this.hold(NOTHING, 0);
      this.onEnd();
    } else if (until < octets.length) {
      this.hold(octets, until);
      this.channel.pause();
      this.pace?.wait(this);
    } else {
      this.hold(NOTHING, 0);
    }
  }

  private hold(octets: Buffer, at: number): void {
    this.held = octets;
    this.heldAt = at;
  }

  takeTurn(): void {
    if (this.over || this.held.length === 0) return;
    this.forward(this.held, this.heldAt);
    if (this.held.length > 0) return;
    if (this.ended) this.onEnd();
    else if (this.readableLength === 0) this.channel.resume();
  }

  onEnd(): void {
    this.ended = true;
    if (this.over || this.held.length > 0) return;
    this.over = true;
    this.push(null);
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.over = true;
    this.hold(NOTHING, 0);
    this.failure = error;
    this.destroy();
  }

  override _read(): void {
    if (this.held.length === 0) this.channel?.resume();
  }

  override _write(octets: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.channel.socket.write(octets, callback);
  }

  /** The frames that node:http2 has gathered leave in one call. */
  override _writev(pieces: { chunk: Buffer }[], callback: (error?: Error | null) => void): void {
    const { socket } = this.channel;
    socket.cork();
    pieces.forEach(({ chunk }, i) => {
      socket.write(chunk, i === pieces.length - 1 ? callback : undefined);
    });
    socket.uncork();
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.channel.socket.end(callback);
  }

  override _destroy(_error: Error | null, callback: (error?: Error | null) => void): void {
    this.channel.destroy();
    callback();
  }
}

import { Duplex } from 'node:stream';
import type { Channel, ChannelOwner } from '../net/channel.ts';
import type { FrameScan } from './frame-scan.ts';

/**
 * The octets of one HTTP/2 connection between its channel and node:http2, which takes it for a socket. What the peer sent before it left is
 * read to the end before node:http2 learns that it left: that closes every stream, with all that was not read of them.
 */
export class Wire extends Duplex implements ChannelOwner {
  private channel!: Channel;
  private readonly scan: FrameScan;
  private over = false;
  /** Why the connection closed, if not as it should. */
  failure: Error | undefined;

  /** `scan` sees the octets first. `beforeEnd` is called when node:http2 has had all of them and is about to learn that no more come. */
  constructor(scan: FrameScan, beforeEnd: () => void) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.scan = scan;
    // The first listener: that of node:http2 comes after it.
    this.once('end', beforeEnd);
    this.once('close', beforeEnd);
  }

  attach(channel: Channel): void {
    this.channel = channel;
  }

  onBytes(buf: Buffer, start: number, end: number): void {
    if (this.over) return;
    const until = this.scan.feed(buf, start, end);
    // The channel reads into the same memory again.
    if (until > start && !this.push(Buffer.from(buf.subarray(start, until)))) this.channel.pause();
    if (until < end) this.onEnd();
  }

  onEnd(): void {
    if (this.over) return;
    this.over = true;
    this.push(null);
  }

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.over = true;
    this.failure = error;
    this.destroy();
  }

  override _read(): void {
    this.channel?.resume();
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

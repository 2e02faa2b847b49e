import { Duplex } from 'node:stream';
import type { Channel, ChannelOwner } from '../net/channel.ts';

/**
 * The octets of one HTTP/2 connection between its channel and node:http2, which takes it for a socket. What the peer sent before it left is
 * read to the end before node:http2 learns that it left: that closes every stream, with all that was not read of them.
 */
export class Wire extends Duplex implements ChannelOwner {
  private channel!: Channel;
  private over = false;
  /** Why the connection closed, if not as it should. */
  failure: Error | undefined;

  /** `beforeEnd` is called once, when node:http2 has had every octet that came and is about to learn that there are no more. */
  constructor(beforeEnd: () => void) {
    super({ allowHalfOpen: true, autoDestroy: false });
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
    if (!this.push(Buffer.from(buf.subarray(start, end)))) this.channel.pause();
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

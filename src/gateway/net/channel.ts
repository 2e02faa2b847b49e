/**
 * A TCP socket as the data path wants it: octets handed over in a reused buffer, one write call per direction, and exact
 * knowledge of when written memory may be used again.
 *
 * Sockets read into our memory (`onread` of `net.Socket`). Accepted ones are wrapped a second time for it, which needs one undocumented
 * field, their `_handle`; TLS sockets are told afterwards (`user-buffer.ts`). What Node.js must do for this is tried at the start
 * (`runtime-check.ts`), and each read is held against the handle that was given the memory: octets that lie there from another
 * connection are never taken for octets of this one.
 */
import net from 'node:net';
import type { HostAddress } from '../../lib/host-address.ts';
import { limits } from '../limits.ts';
import { fastReads } from './fast-path.ts';
import { noteInternalError } from './internal-error.ts';
import { giveReadBuffer, shared, takeReadBuffer } from './read-memory.ts';
import { exchangeScratch, SCRATCH_BYTES, scratch } from './scratch.ts';
import { readInto } from './user-buffer.ts';

/** What owns a channel. `onBytes` must be done with `buf` when it returns, unless `owned` is true. */
export interface ChannelOwner {
  onBytes(buf: Buffer, start: number, end: number): void;
  /** The other side will send no more. */
  onEnd(): void;
  /** Everything written has left; only after `write` returned false. */
  onDrain(): void;
  /** Called once, after an error too. */
  onClose(error: Error | undefined): void;
}

interface Handle {
  useUserBuffer?: unknown;
}

/** Node's own name for what stands behind a socket; a name with several addresses has a new one for each try. */
function handleOf(socket: net.Socket): Handle | null {
  return (socket as unknown as { _handle: Handle | null })._handle;
}

/** Takes the handle out of a socket, which is of no use afterwards. */
function takeHandle(socket: net.Socket): Handle | null {
  const handle = handleOf(socket);
  (socket as unknown as { _handle: Handle | null })._handle = null;
  return handle;
}

export class Channel {
  readonly socket: net.Socket;
  owner: ChannelOwner;
  /** Where the next read goes. */
  private reading: Buffer = shared;
  /** The handle that was given `reading`. Others fill other memory. */
  private filling: Handle | null = null;
  private privateBuffer: Buffer | null = null;
  private readonly ownsReads: boolean;
  private closeError: Error | undefined;
  private pausedByUs = false;
  /** From the arrival of octets until Node.js has been told where the next ones go. */
  private inRead = false;
  closed = false;

  /** `handle`: of a connection that is there already. `open` makes the socket, or hands on one that does not use `onread`. */
  private constructor(
    owner: ChannelOwner,
    handle: Handle | null,
    ownsReads: boolean,
    open: (onread: net.OnReadOpts) => net.Socket,
  ) {
    this.owner = owner;
    this.ownsReads = ownsReads;
    this.socket = open({
      // Node.js asks after each read, and when it readies a handle, which happens anew for every address that it tries.
      buffer: () => {
        // Within its constructor the socket is not known yet, and has no other handle than the given one.
        if (!this.inRead) this.filling = this.socket === undefined ? handle : handleOf(this.socket);
        this.inRead = false;
        return this.reading;
      },
      callback: (length, buf) => {
        if (buf !== this.reading || this.filling !== handleOf(this.socket)) return this.refuseRead();
        this.inRead = true;
        this.deliver(buf as Buffer, length);
        return !this.pausedByUs;
      },
    });
    this.listen();
  }

  /** Takes over an accepted socket, made with `pauseOnConnect`. */
  static accept(accepted: net.Socket, owner: ChannelOwner): Channel {
    if (!fastReads.accepted || typeof handleOf(accepted)?.useUserBuffer !== 'function')
      return Channel.wrap(accepted, owner);
    const handle = takeHandle(accepted);
    const open = (onread: net.OnReadOpts) =>
      new net.Socket({ handle, onread, allowHalfOpen: true } as net.SocketConstructorOpts);
    const channel = new Channel(owner, handle, true, open);
    channel.socket.resume();
    return channel;
  }

  /** Takes a TLS socket after its handshake. */
  static secure(socket: net.Socket, owner: ChannelOwner): Channel {
    const channel = new Channel(owner, null, false, () => socket);
    const reading = fastReads.secure && readInto(socket, shared, (length) => channel.readShared(length));
    if (reading) channel.filling = handleOf(socket);
    else channel.readData();
    socket.resume();
    return channel;
  }

  /**
   * What TLS decrypted of one read comes in pieces of a record's size, at most 64 KB in all; those after a `pause()` within it come too.
   */
  private readShared(length: number): boolean {
    if (this.filling !== handleOf(this.socket)) return this.refuseRead();
    this.deliver(shared, length);
    return !this.pausedByUs;
  }

  /** Octets came into memory that is not ours: what stands in ours is of another connection. */
  private refuseRead(): false {
    this.socket.destroy(new Error('a read did not go into the memory of the gateway'));
    return false;
  }

  /** Uses a stream (of HTTP/2, or a socket that cannot read into our memory) by its 'data' events. */
  static wrap(socket: net.Socket, owner: ChannelOwner): Channel {
    const channel = new Channel(owner, null, false, () => socket);
    channel.readData();
    socket.resume();
    return channel;
  }

  private readData(): void {
    this.socket.on('data', (chunk: Buffer) => {
      // Nobody reads into this memory again: it may be sent as it is.
      this.privateBuffer = chunk;
      this.deliver(chunk, chunk.length);
      this.privateBuffer = null;
    });
  }

  /** The addresses of a name are tried in the order of its lookup. */
  static connect(host: HostAddress, port: number, owner: ChannelOwner, onConnect: () => void): Channel {
    const { connecting } = fastReads;
    const open = (onread: net.OnReadOpts) =>
      new net.Socket({ ...(connecting ? { onread } : {}), allowHalfOpen: true } as net.SocketConstructorOpts);
    const channel = new Channel(owner, null, connecting, open);
    if (!connecting) channel.readData();
    channel.socket.setNoDelay(true);
    channel.socket.connect({ ...host.connectOptions, port }, () => {
      host.reached(channel.socket.remoteAddress);
      onConnect();
    });
    return channel;
  }

  /** Whatever the owner throws ends this connection, and no other. */
  private deliver(buf: Buffer, length: number): void {
    try {
      this.owner.onBytes(buf, 0, length);
    } catch (error) {
      this.fail(error);
    }
  }

  private tell(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    noteInternalError(error);
    this.socket.destroy();
  }

  private listen(): void {
    this.socket.on('end', () => this.tell(() => this.owner.onEnd()));
    this.socket.on('drain', () => this.tell(() => this.owner.onDrain()));
    this.socket.on('error', (error: Error) => {
      this.closeError = error;
      // A TLS socket tells of a forged record without closing.
      this.socket.destroy();
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.releaseBuffer(null);
      this.tell(() => this.owner.onClose(this.closeError));
    });
  }

  /** Whether the kernel has taken every octet written so far. */
  get flushed(): boolean {
    return this.socket.writableLength === 0;
  }

  /** Closed, or about to be: also right after a write that the kernel has refused. */
  get broken(): boolean {
    return this.socket.destroyed;
  }

  /** Octets written that the kernel has not taken. */
  get unsent(): number {
    return this.socket.writableLength;
  }

  /**
   * Sends `scratch()[start, end)`. Returns false when the reader is slow: stop producing until `onDrain`.
   * The scratch buffer is exchanged when it is still being sent.
   */
  writeScratch(start: number, end: number): boolean {
    const octets = scratch().subarray(start, end);
    // A TLS write is never over when the call returns: only its own octets are worth keeping for it.
    if (!this.ownsReads) return this.socket.write(Buffer.from(octets)) || this.socket.writableLength === 0;
    const more = this.socket.write(octets);
    if (this.socket.writableLength === 0) return true;
    exchangeScratch(this.socket);
    return more;
  }

  /** Sends octets that stay unchanged until `flushed`. */
  writeStable(octets: Uint8Array): boolean {
    return this.socket.write(octets) || this.socket.writableLength === 0;
  }

  /**
   * Forwards body octets that `source` just read. In the middle of a large body the source has a buffer of its own,
   * which is sent as it is; otherwise the octets are copied, because the shared buffer is about to be read into.
   */
  forwardFrom(source: Channel, buf: Buffer, start: number, end: number): boolean {
    const reading = source.inRead || !source.ownsReads;
    if (buf !== source.privateBuffer || !reading) return this.writeCopied(buf, start, end);
    const more = this.socket.write(buf.subarray(start, end));
    if (this.socket.writableLength === 0) return true;
    // Still being sent. When the source goes on reading it needs other memory.
    if (more && source.ownsReads) source.useFreshBuffer();
    return more;
  }

  private writeCopied(buf: Buffer, start: number, end: number): boolean {
    if (end - start > SCRATCH_BYTES) return this.socket.write(Buffer.from(buf.subarray(start, end)));
    scratch().set(buf.subarray(start, end), 0);
    return this.writeScratch(0, end - start);
  }

  /**
   * A large body follows on this channel: read it into a buffer of its own. Octets that were kept back and are handled outside of a
   * read change nothing: Node.js is only told after a read where the next one goes.
   */
  beginBulk(): void {
    if (this.ownsReads && this.inRead && this.privateBuffer === null) this.useFreshBuffer();
  }

  private useFreshBuffer(): void {
    this.privateBuffer = this.reading = takeReadBuffer();
  }

  /**
   * The large body is over. `sink` is where its last octets went: memory still being sent is not used again. Outside
   * of `onBytes` nothing happens: the kernel would still read into the buffer that we gave away.
   */
  endBulk(sink: Channel | null): void {
    if (this.privateBuffer === null || !this.inRead) return;
    this.releaseBuffer(sink);
    this.reading = shared;
  }

  private releaseBuffer(sink: Channel | null): void {
    const buffer = this.privateBuffer;
    this.privateBuffer = null;
    if (this.ownsReads && buffer !== null && sink?.flushed === true) giveReadBuffer(buffer);
  }

  pause(): void {
    if (this.pausedByUs) return;
    this.pausedByUs = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.pausedByUs) return;
    this.pausedByUs = false;
    this.socket.resume();
  }

  get paused(): boolean {
    return this.pausedByUs;
  }

  /** Sends FIN after what was written. */
  end(): void {
    this.socket.end();
  }

  /** What was written still leaves, at the pace of the peer; what comes in is dropped. */
  endThenDestroy(): void {
    const { socket } = this;
    if (this.closed || socket.destroyed) return;
    socket.setTimeout(limits.bodyIdleMs, () => socket.destroy());
    this.resume();
    socket.end(() => socket.destroy());
  }

  destroy(): void {
    this.socket.destroy();
  }
}

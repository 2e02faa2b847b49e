/**
 * A TCP socket as the data path wants it: octets handed over in a reused buffer, one write call per direction, and exact
 * knowledge of when written memory may be used again.
 *
 * Accepted sockets are wrapped a second time so that they can read into our buffer (`onread` of `net.Socket`). That needs
 * one undocumented field, the accepted socket's `_handle`; where it is missing the channel falls back to 'data' events. TLS sockets
 * read into it too (`user-buffer.ts`), with the same fallback.
 */
import net from 'node:net';
import { limits } from '../limits.ts';
import { readInto } from './user-buffer.ts';

const READ_BYTES = 256 * 1024;
const SCRATCH_BYTES = READ_BYTES + 128 * 1024;
const SPARE_BUFFERS = 16;

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

/** The buffer that every socket reads into unless it is in the middle of a large body. */
const shared = Buffer.allocUnsafeSlow(READ_BYTES);
const spare: Buffer[] = [];
/** Where outgoing messages are put together. Replaced when the kernel did not take all of it at once. */
let scratchBuffer: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

export function scratch(): Buffer {
  return scratchBuffer;
}

/** Scratch buffers that the kernel has not taken whole yet, with the socket that sends them. */
const lent: { buffer: Buffer; socket: net.Socket }[] = [];

/** The scratch buffer stays with `socket` until it is sent; one that is free again, or a new one, takes its place. */
function exchangeScratch(socket: net.Socket): void {
  const at = lent.findIndex((one) => !one.socket.destroyed && one.socket.writableLength === 0);
  const free = at < 0 ? undefined : lent.splice(at, 1)[0];
  if (lent.length >= SPARE_BUFFERS) lent.shift();
  lent.push({ buffer: scratchBuffer, socket });
  scratchBuffer = free?.buffer ?? Buffer.allocUnsafeSlow(SCRATCH_BYTES);
}

let canRewrap = true;

interface HandleHolder {
  _handle: { useUserBuffer?: unknown } | null;
}

/** For tests of the fallback: accepted sockets use 'data' events from now on. */
export function forbidRewrap(): void {
  canRewrap = false;
}

export class Channel {
  readonly socket: net.Socket;
  owner: ChannelOwner;
  private nextBuffer: Buffer | null = null;
  private privateBuffer: Buffer | null = null;
  private readonly ownsReads: boolean;
  private closeError: Error | undefined;
  private pausedByUs = false;
  private inRead = false;
  closed = false;

  private constructor(owner: ChannelOwner, open: (onread: net.OnReadOpts) => net.Socket, ownsReads: boolean) {
    this.owner = owner;
    this.ownsReads = ownsReads;
    let first = true;
    this.socket = open({
      // Called once at the start and after each read; anything but a buffer keeps the present one.
      buffer: () => {
        if (first) {
          first = false;
          return shared;
        }
        const next = this.nextBuffer;
        this.nextBuffer = null;
        return next as Buffer;
      },
      callback: (length, buf) => {
        this.inRead = true;
        this.owner.onBytes(buf as Buffer, 0, length);
        this.inRead = false;
        return !this.pausedByUs;
      },
    });
    this.listen();
  }

  /** Takes over an accepted socket, made with `pauseOnConnect`. */
  static accept(accepted: net.Socket, owner: ChannelOwner): Channel {
    const holder = accepted as unknown as HandleHolder;
    const handle = holder._handle;
    if (canRewrap && handle !== null && typeof handle === 'object' && typeof handle.useUserBuffer === 'function') {
      holder._handle = null;
      const options = { handle, allowHalfOpen: true };
      const channel = new Channel(
        owner,
        (onread) => new net.Socket({ ...options, onread } as net.SocketConstructorOpts),
        true,
      );
      channel.socket.resume();
      return channel;
    }
    return Channel.wrap(accepted, owner);
  }

  /** Takes a TLS socket after its handshake. */
  static secure(socket: net.Socket, owner: ChannelOwner): Channel {
    const channel = new Channel(owner, () => socket, false);
    const reading = canRewrap && readInto(socket, shared, (length) => channel.readShared(length));
    if (!reading) channel.readData();
    socket.resume();
    return channel;
  }

  /**
   * What TLS decrypted of one read comes in pieces of a record's size, at most 64 KB in all; those after a `pause()` within it come too.
   */
  private readShared(length: number): boolean {
    this.owner.onBytes(shared, 0, length);
    return !this.pausedByUs;
  }

  /** Uses a stream (of HTTP/2, or a socket whose handle cannot be reached) by its 'data' events. */
  static wrap(socket: net.Socket, owner: ChannelOwner): Channel {
    const channel = new Channel(owner, () => socket, false);
    channel.readData();
    socket.resume();
    return channel;
  }

  private readData(): void {
    this.socket.on('data', (chunk: Buffer) => {
      // Nobody reads into this memory again: it may be sent as it is.
      this.privateBuffer = chunk;
      this.owner.onBytes(chunk, 0, chunk.length);
      this.privateBuffer = null;
    });
  }

  /** `lookup`: how a name becomes an address, if not as the system does it. */
  static connect(
    host: string,
    port: number,
    owner: ChannelOwner,
    onConnect: () => void,
    lookup?: net.LookupFunction,
  ): Channel {
    const channel = new Channel(
      owner,
      (onread) => new net.Socket({ onread, allowHalfOpen: true } as net.SocketConstructorOpts),
      true,
    );
    channel.socket.setNoDelay(true);
    channel.socket.connect(lookup === undefined ? { host, port } : { host, port, lookup }, onConnect);
    return channel;
  }

  /**
   * Gives the connection away, with octets that were read already; nothing of it reaches the owner any more. Only from within
   * `onBytes`; `take` is called in the next turn, when the read is over.
   */
  detach(take: (socket: net.Socket) => void): void {
    this.pause();
    this.socket.removeAllListeners();
    this.socket.on('error', () => {});
    setImmediate(() => {
      const holder = this.socket as unknown as HandleHolder;
      const handle = holder._handle;
      if (!this.ownsReads || handle === null) {
        take(this.socket);
        return;
      }
      holder._handle = null;
      take(new net.Socket({ handle, allowHalfOpen: true } as net.SocketConstructorOpts));
    });
  }

  private listen(): void {
    this.socket.on('end', () => this.owner.onEnd());
    this.socket.on('drain', () => this.owner.onDrain());
    this.socket.on('error', (error: Error) => {
      this.closeError = error;
      // A TLS socket tells of a forged record without closing.
      this.socket.destroy();
    });
    this.socket.on('close', () => {
      this.closed = true;
      this.releaseBuffer(null);
      this.owner.onClose(this.closeError);
    });
  }

  /** Whether the kernel has taken every octet written so far. */
  get flushed(): boolean {
    return this.socket.writableLength === 0;
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
    const octets = scratchBuffer.subarray(start, end);
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
    if (buf !== source.privateBuffer) return this.writeCopied(buf, start, end);
    const more = this.socket.write(buf.subarray(start, end));
    if (this.socket.writableLength === 0) return true;
    // Still being sent. When the source goes on reading it needs other memory.
    if (more && source.ownsReads) source.useFreshBuffer();
    return more;
  }

  private writeCopied(buf: Buffer, start: number, end: number): boolean {
    if (end - start > SCRATCH_BYTES) return this.socket.write(Buffer.from(buf.subarray(start, end)));
    scratchBuffer.set(buf.subarray(start, end), 0);
    return this.writeScratch(0, end - start);
  }

  /** A large body follows on this channel: read it into a buffer of its own. Only from within `onBytes`. */
  beginBulk(): void {
    if (this.ownsReads && this.privateBuffer === null) this.useFreshBuffer();
  }

  private useFreshBuffer(): void {
    this.privateBuffer = spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
    this.nextBuffer = this.privateBuffer;
  }

  /**
   * The large body is over. `sink` is where its last octets went: memory still being sent is not used again. Outside
   * of `onBytes` nothing happens: the kernel would still read into the buffer that we gave away.
   */
  endBulk(sink: Channel | null): void {
    if (this.privateBuffer === null || !this.inRead) return;
    this.releaseBuffer(sink);
    this.nextBuffer = shared;
  }

  private releaseBuffer(sink: Channel | null): void {
    const buffer = this.privateBuffer;
    this.privateBuffer = null;
    if (this.ownsReads && buffer !== null && sink?.flushed === true && spare.length < SPARE_BUFFERS) spare.push(buffer);
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

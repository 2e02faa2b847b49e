/**
 * Looks at the frames of one direction of one connection (RFC 9113 section 4) before node:http2 gets them, and knows of its streams what
 * node:http2 does not tell: whether a field was malformed, and whether the peer ended the stream or only let go of it.
 */
import { FieldScan, UnreadableBlock } from './field-scan.ts';
import type { Pace } from './pace.ts';

const PREFACE_BYTES = 24;
const HEAD_BYTES = 9;
/** Of the octets of a frame's head. */
const TYPE_AT = 3;
/** The largest frame that is announced, by default (RFC 9113 section 6.5.2): node:http2 refuses a larger one. */
const MAX_FRAME_BYTES = 16_384;
/** A block in more octets than these is read by nobody here: node:http2 takes eight frames after the first. */
const MAX_BLOCK_BYTES = 9 * MAX_FRAME_BYTES;
/** Streams of which something is known; those in use at once are far fewer. */
const MAX_STREAMS = 4096;

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const PUSH_PROMISE = 5;
const GOAWAY = 7;
const CONTINUATION = 9;

const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;

export class FrameScan {
  private readonly fields = new FieldScan();
  private readonly malformed = new Set<number>();
  private readonly ended = new Set<number>();
  /** The peer works on no stream above this one (GOAWAY; a second one may name a lower one). */
  lastStream = Number.POSITIVE_INFINITY;
  /** The peer has said that it leaves for an error. */
  peerLeft = false;
  /** Nothing more can be said: everything counts as malformed, and as not ended. */
  private lost = false;
  private prefaceLeft: number;
  /** Of the frame that is coming. */
  private readonly head = Buffer.alloc(HEAD_BYTES);
  private headLength = 0;
  private payloadLeft = 0;
  private pieces: Buffer[] = [];
  /** Of the header block that is coming, in one frame or several. */
  private block: Buffer[] = [];
  private blockBytes = 0;
  private blockEndsStream = false;

  /** `from`: who sends these octets. */
  constructor(from: 'client' | 'server') {
    this.prefaceLeft = from === 'client' ? PREFACE_BYTES : 0;
  }

  /** Whether a head or trailers of the stream were malformed. */
  isMalformed(stream: number): boolean {
    return this.lost || this.malformed.has(stream);
  }

  /** Whether the peer has sent all of its message (END_STREAM): a stream that is closed otherwise, even without an error, is not whole. */
  hasEnded(stream: number): boolean {
    return !this.lost && this.ended.has(stream);
  }

  /** The stream is closed. */
  forget(stream: number): void {
    this.malformed.delete(stream);
    this.ended.delete(stream);
  }

  /**
   * Takes `buf[start, end)` and returns the index up to which it may be given to node:http2. Before `end` when the peer says there that it leaves
   * for an error (`peerLeft`): node:http2 would drop at once whatever has come and was not read. Or when `pace` allows no more frames in this turn:
   * what follows is to be fed again.
   */
  feed(buf: Buffer, start: number, end: number, pace: Pace | null = null): number {
    let at = start + Math.min(this.prefaceLeft, end - start);
    this.prefaceLeft -= at - start;
    let frameStart = start;
    while (at < end && !this.lost) {
      if (this.headLength < HEAD_BYTES) {
        if (this.headLength === 0) {
          // A reset goes with what it resets: a stream that is begun and reset in one turn is no request.
          if (pace?.mayGoOn === false && buf[at + TYPE_AT] !== RST_STREAM) return at;
          frameStart = at;
        }
        at = this.takeHead(buf, at, end);
        if (this.headLength < HEAD_BYTES) return end;
      }
      at = this.takePayload(buf, at, end);
      if (this.payloadLeft > 0) return end;
      this.headLength = 0;
      pace?.spend(this.type === HEADERS);
      this.peerLeft = this.type === GOAWAY && this.leavesForError();
      if (this.peerLeft) return frameStart;
      this.frameDone();
    }
    return end;
  }

  private takeHead(buf: Buffer, start: number, end: number): number {
    const at = Math.min(end, start + HEAD_BYTES - this.headLength);
    this.head.set(buf.subarray(start, at), this.headLength);
    this.headLength += at - start;
    if (this.headLength === HEAD_BYTES) {
      this.payloadLeft = this.head.readUIntBE(0, 3);
      this.pieces = [];
    }
    return at;
  }

  private takePayload(buf: Buffer, start: number, end: number): number {
    const at = Math.min(end, start + this.payloadLeft);
    this.payloadLeft -= at - start;
    // Content passes; what is looked at may come in pieces, and must be kept until it is whole.
    if (at > start && this.type !== DATA) this.keepPayload(buf, start, at);
    return at;
  }

  private keepPayload(buf: Buffer, start: number, end: number): void {
    const { type } = this;
    if (type !== HEADERS && type !== CONTINUATION && type !== PUSH_PROMISE && type !== GOAWAY) return;
    if (this.head.readUIntBE(0, 3) > MAX_FRAME_BYTES) this.lose();
    else this.pieces.push(this.payloadLeft === 0 ? buf.subarray(start, end) : Buffer.from(buf.subarray(start, end)));
  }

  private get type(): number {
    return this.head[TYPE_AT]!;
  }

  private get flags(): number {
    return this.head[4]!;
  }

  private get stream(): number {
    return this.head.readUInt32BE(5) & 0x7fff_ffff;
  }

  private get payload(): Buffer {
    return this.pieces.length === 1 ? this.pieces[0]! : Buffer.concat(this.pieces);
  }

  /** RFC 9113 section 6.8. */
  private leavesForError(): boolean {
    const { payload } = this;
    if (this.lost || payload.length < 8) return false;
    this.lastStream = Math.min(this.lastStream, payload.readUInt32BE(0) & 0x7fff_ffff);
    return payload.readUInt32BE(4) !== 0;
  }

  private frameDone(): void {
    const { type, flags } = this;
    if (type === DATA && (flags & END_STREAM) !== 0) this.note(this.ended);
    if (type === HEADERS || type === PUSH_PROMISE) {
      this.block = [];
      this.blockBytes = 0;
      this.blockEndsStream = type === HEADERS && (flags & END_STREAM) !== 0;
      this.addToBlock(this.fragment());
    } else if (type === CONTINUATION) {
      this.addToBlock(this.payload);
    }
  }

  /** The part of the block in a HEADERS or PUSH_PROMISE frame (RFC 9113 sections 6.2 and 6.6). */
  private fragment(): Buffer {
    const { payload, flags } = this;
    const padded = (flags & PADDED) !== 0;
    const padding = padded ? (payload[0] ?? 0) : 0;
    const inFront = this.type === PUSH_PROMISE ? 4 : (flags & PRIORITY) !== 0 ? 5 : 0;
    return payload.subarray((padded ? 1 : 0) + inFront, payload.length - padding);
  }

  private addToBlock(fragment: Buffer): void {
    const last = (this.flags & END_HEADERS) !== 0;
    this.blockBytes += fragment.length;
    if (this.blockBytes > MAX_BLOCK_BYTES) this.lose();
    if (this.lost) return;
    // Of a block that goes on, the octets must outlive this call.
    this.block.push(last ? fragment : Buffer.from(fragment));
    if (last) this.blockDone(this.block.length === 1 ? fragment : Buffer.concat(this.block));
  }

  private blockDone(block: Buffer): void {
    this.block = [];
    if (!this.isWellFormed(block)) this.note(this.malformed);
    if (this.blockEndsStream) this.note(this.ended);
  }

  private isWellFormed(block: Buffer): boolean {
    try {
      return this.fields.isWellFormed(block);
    } catch (error) {
      // node:http2 ends such a connection (RFC 9113 section 4.3); if it should not, nothing more is served on it.
      if (!(error instanceof UnreadableBlock)) throw error;
      this.lose();
      return false;
    }
  }

  private note(streams: Set<number>): void {
    streams.add(this.stream);
    if (streams.size > MAX_STREAMS) this.lose();
  }

  private lose(): void {
    this.lost = true;
    this.pieces = this.block = [];
    this.malformed.clear();
    this.ended.clear();
  }
}

import { BodyReader, type BodySink, BY_CHUNKS, BY_LENGTH, NO_BODY } from '../http1/body.ts';
import { type ForwardContext, REQUEST_HEAD_EXTRA, writeRequestHead } from '../http1/forward.ts';
import type { Head } from '../http1/head.ts';
import { relayChunks, relayed } from '../http1/relay.ts';
import { limits } from '../limits.ts';
import type { Channel } from '../net/channel.ts';
import { scratch } from '../net/scratch.ts';
import { Outgoing } from './outgoing.ts';

/** Octets of a body after which the reader gets a buffer of its own. */
export const BULK_BYTES = 64 * 1024;

/**
 * The request on its way to an instance, in our own framing. Octets are kept until they were sent, and as long as the try may have to be repeated; the
 * client waits when there is more than is kept, or the instance is slow.
 */
export class Upload implements BodySink {
  readonly body = new BodyReader();
  readonly out = new Outgoing();
  /** All of the request is still at hand. */
  replayable = true;
  /** Octets of the present try were sent. */
  isSending = false;
  /** The content goes on without its chunks. */
  private byLength = false;
  private readonly client: Channel;
  /** Where they go; null before the first one, and once the try is over. */
  private target: Channel | null = null;

  constructor(client: Channel) {
    this.client = client;
  }

  open(head: Head, buf: Buffer, context: ForwardContext): void {
    this.replayable = true;
    this.byLength = context.byLength;
    this.rewind();
    const to = this.out.open(head.end - head.start + REQUEST_HEAD_EXTRA);
    this.out.setHead(writeRequestHead(head, buf, to, context));
  }

  beginBody(head: Head): void {
    this.body.begin(head.chunked ? BY_CHUNKS : head.contentLength > 0 ? BY_LENGTH : NO_BODY, head.contentLength);
  }

  /** The next try sends from the first octet on. */
  rewind(): void {
    this.isSending = false;
    this.target = null;
  }

  /** The try is over: what still comes goes nowhere. */
  leaveTarget(): void {
    this.target = null;
  }

  /** The request is over. `sent`: the kernel has all of it. */
  close(sent: boolean): void {
    this.target = null;
    this.out.close(sent);
  }

  /** Sends what has come so far. `repeatable`: the request may be sent a second time after that. False: the connection is gone, and nothing was sent. */
  sendTo(target: Channel, repeatable: boolean): boolean {
    const drained = target.writeStable(this.out.octets());
    if (target.broken) return false;
    this.target = target;
    this.isSending = true;
    if (!repeatable) this.replayable = false;
    if (drained) this.client.resume();
    return true;
  }

  /** Body octets from the client; `body` says how it stands afterwards. Returns the index after those used. */
  feed(buf: Buffer, start: number, end: number): number {
    const { body } = this;
    let next: number;
    if (body.kind === BY_CHUNKS) {
      relayChunks(body, buf, start, end, 0, this.byLength);
      next = relayed.consumed;
      if (!body.failed && relayed.end > relayed.start) this.sendChunks(relayed.start, relayed.end);
    } else {
      next = body.feed(buf, start, end, this);
    }
    if (!body.failed && !body.done && body.seen > BULK_BYTES) this.client.beginBulk();
    return next;
  }

  bodyData(buf: Buffer, start: number, end: number): void {
    this.keepForReplay(buf, start, end);
    if (this.target?.forwardFrom(this.client, buf, start, end) === false) this.client.pause();
  }

  private sendChunks(start: number, end: number): void {
    this.keepForReplay(scratch(), start, end);
    if (this.target?.writeScratch(start, end) === false) this.client.pause();
  }

  private keepForReplay(buf: Buffer, start: number, end: number): void {
    if (this.isSending && !this.replayable) return;
    if (this.isSending && this.out.bodyLength + end - start > limits.replayBytes) {
      this.replayable = false;
      return;
    }
    this.out.append(buf, start, end);
    // Not connected yet: the client waits once there is enough to begin with.
    if (!this.isSending && this.out.bodyLength > limits.replayBytes) this.client.pause();
  }
}

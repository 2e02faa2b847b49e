import type { Channel } from '../net/channel.ts';
import { stamp } from '../net/now.ts';

const SLICE_MS = 20;
/** Octets held before the upstream must wait, and those that a slow client may have ahead of it. */
const HELD_BYTES = 64 * 1024;

/**
 * Lets an answer's octets out at a given rate (the `bandwidth` fault) while the fault lasts. Holds copies: the faulty path need not be fast. Its timer
 * runs only while it holds something.
 */
export class Throttle {
  private readonly client: Channel;
  private readonly bytesPerSecond: number;
  private readonly fault: { readonly endsMs: number };
  private readonly onRoom: () => void;
  private queue: Buffer[] = [];
  private held = 0;
  private credit = 0;
  private timer: NodeJS.Timeout | null = null;
  private onEmpty: (() => void) | null = null;
  /** The fault has ended: octets need not go through here any more. */
  isOver = false;

  /** `onRoom`: called when the producer that was told to wait may go on. */
  constructor(client: Channel, bytesPerSecond: number, fault: { readonly endsMs: number }, onRoom: () => void) {
    this.client = client;
    this.bytesPerSecond = bytesPerSecond;
    this.fault = fault;
    this.onRoom = onRoom;
  }

  /** Returns false when the producer must wait for `onRoom`. */
  push(buf: Buffer, start: number, end: number): boolean {
    if (end > start) this.queue.push(Buffer.from(buf.subarray(start, end)));
    this.held += end - start;
    if (this.held > 0) this.timer ??= setInterval(() => this.turn(), SLICE_MS);
    return this.held <= HELD_BYTES;
  }

  get isHolding(): boolean {
    return this.held > 0;
  }

  /** Calls back once everything is out. */
  whenEmpty(callback: () => void): void {
    if (this.held === 0) callback();
    else this.onEmpty = callback;
  }

  /** The fault is over: what is held leaves as fast as the client takes it. */
  release(): void {
    if (this.isOver) return;
    this.isOver = true;
    const wasFull = this.held > HELD_BYTES;
    for (const octets of this.queue) this.client.writeStable(octets);
    this.queue = [];
    this.held = 0;
    this.tell(wasFull);
  }

  /** The answer is over, or given up: what is held is dropped. */
  stop(): void {
    this.rest();
    this.queue = [];
    this.held = 0;
    this.onEmpty = null;
  }

  private rest(): void {
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
  }

  private turn(): void {
    if (stamp() >= this.fault.endsMs) {
      this.release();
      return;
    }
    const wasFull = this.held > HELD_BYTES;
    this.credit = Math.min(this.bytesPerSecond, this.credit + (this.bytesPerSecond * SLICE_MS) / 1000);
    while (this.credit >= 1 && this.queue.length > 0 && this.client.unsent <= HELD_BYTES) this.sendSome();
    this.tell(wasFull);
  }

  private tell(wasFull: boolean): void {
    if (wasFull && this.held <= HELD_BYTES) this.onRoom();
    if (this.held > 0) return;
    this.rest();
    const callback = this.onEmpty;
    this.onEmpty = null;
    callback?.();
  }

  private sendSome(): void {
    const first = this.queue[0] as Buffer;
    const take = Math.min(first.length, Math.floor(this.credit));
    this.client.writeStable(first.subarray(0, take));
    if (take === first.length) this.queue.shift();
    else this.queue[0] = first.subarray(take);
    this.credit -= take;
    this.held -= take;
  }
}

import type { Channel } from '../net/channel.ts';

const SLICE_MS = 20;
/** Octets held before the upstream must wait. */
const HELD_BYTES = 64 * 1024;

/** Lets an answer's octets out at a given rate (the `bandwidth` fault). Holds copies: the faulty path need not be fast. */
export class Throttle {
  private readonly client: Channel;
  private readonly bytesPerSecond: number;
  private readonly queue: Buffer[] = [];
  private held = 0;
  private credit = 0;
  private readonly timer: NodeJS.Timeout;
  private onEmpty: (() => void) | null = null;
  private onRoom: () => void;

  constructor(client: Channel, bytesPerSecond: number, onRoom: () => void) {
    this.client = client;
    this.bytesPerSecond = bytesPerSecond;
    this.onRoom = onRoom;
    this.timer = setInterval(() => this.turn(), SLICE_MS);
  }

  /** Returns false when the producer must wait for `onRoom`. */
  push(buf: Buffer, start: number, end: number): boolean {
    if (end > start) this.queue.push(Buffer.from(buf.subarray(start, end)));
    this.held += end - start;
    return this.held <= HELD_BYTES;
  }

  /** Calls back once everything is out. */
  whenEmpty(callback: () => void): void {
    if (this.held === 0) callback();
    else this.onEmpty = callback;
  }

  stop(): void {
    clearInterval(this.timer);
    this.onEmpty = null;
  }

  private turn(): void {
    const wasFull = this.held > HELD_BYTES;
    this.credit = Math.min(this.bytesPerSecond, this.credit + (this.bytesPerSecond * SLICE_MS) / 1000);
    while (this.credit >= 1 && this.queue.length > 0) this.sendSome();
    if (wasFull && this.held <= HELD_BYTES) this.onRoom();
    if (this.held > 0 || this.onEmpty === null) return;
    const callback = this.onEmpty;
    this.stop();
    callback();
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

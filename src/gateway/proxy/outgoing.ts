const SMALL = 4096;
const KEPT = 1024;
const spare: Buffer[] = [];
const NONE = Buffer.alloc(0);

/** The forwarded head and the body that followed so far: for the connection to come, and for tries that are repeated. */
export class Outgoing {
  buffer: Buffer = NONE;
  length = 0;
  headLength = 0;

  /** Makes room for a head of at most `room` octets; the caller writes it and sets its length. */
  open(room: number): Buffer {
    this.buffer = room <= SMALL ? (spare.pop() ?? Buffer.allocUnsafeSlow(SMALL)) : Buffer.allocUnsafe(room);
    return this.buffer;
  }

  setHead(length: number): void {
    this.headLength = this.length = length;
  }

  get bodyLength(): number {
    return this.length - this.headLength;
  }

  append(from: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.buffer.length * 2));
      larger.set(this.buffer.subarray(0, this.length));
      this.buffer = larger;
    }
    this.buffer.set(from.subarray(start, end), this.length);
    this.length = length;
  }

  octets(): Buffer {
    return this.buffer.subarray(0, this.length);
  }

  head(): Buffer | null {
    return this.length === 0 ? null : this.buffer.subarray(0, this.headLength);
  }

  /** `sent`: the kernel has all of it. Otherwise it may still be on its way, and the collector has it. */
  close(sent: boolean): void {
    if (sent && this.buffer.length === SMALL && spare.length < KEPT) spare.push(this.buffer);
    this.buffer = NONE;
    this.length = this.headLength = 0;
  }
}

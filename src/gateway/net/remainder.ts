/** Octets that arrived but could not be used yet: the beginning of a head, or further requests of a pipeline. */
export class Remainder {
  buf: Buffer = EMPTY;
  length = 0;

  /** Adds octets behind what is there. */
  append(from: Buffer, start: number, end: number): void {
    const length = this.length + end - start;
    if (length > this.buf.length) {
      const larger = Buffer.allocUnsafe(Math.max(1024, length * 2));
      larger.set(this.buf.subarray(0, this.length));
      this.buf = larger;
    }
    this.buf.set(from.subarray(start, end), this.length);
    this.length = length;
  }

  /** Keeps only `from[start, end)`, which may lie in this remainder's own buffer. */
  keep(from: Buffer, start: number, end: number): void {
    if (start === end) {
      this.clear();
      return;
    }
    if (from === this.buf) {
      this.buf.copyWithin(0, start, end);
      this.length = end - start;
      return;
    }
    this.length = 0;
    this.append(from, start, end);
  }

  clear(): void {
    this.length = 0;
    this.buf = EMPTY;
  }
}

const EMPTY = Buffer.alloc(0);

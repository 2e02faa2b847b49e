export const READ_BYTES = 256 * 1024;
const SPARE_BUFFERS = 16;

/** The buffer that every socket reads into unless it is in the middle of a large body. */
export const shared = Buffer.allocUnsafeSlow(READ_BYTES);
const spare: Buffer[] = [];

/** A buffer of `READ_BYTES` for one socket, until it is given back. */
export function takeReadBuffer(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
}

/** Nothing reads into `buffer` any more, and all of it was sent. */
export function giveReadBuffer(buffer: Buffer): void {
  if (spare.length < SPARE_BUFFERS) spare.push(buffer);
}

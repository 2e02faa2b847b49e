import type net from 'node:net';
import { READ_BYTES } from './read-memory.ts';

export const SCRATCH_BYTES = READ_BYTES + 128 * 1024;
const MAX_LENT = 16;

/** Where outgoing messages are put together. Replaced when the kernel did not take all of it at once. */
let scratchBuffer: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);

export function scratch(): Buffer {
  return scratchBuffer;
}

/** Scratch buffers that the kernel has not taken whole yet, with the socket that sends them. */
const lent: { buffer: Buffer; socket: net.Socket }[] = [];

/** The scratch buffer stays with `socket` until it is sent; one that is free again, or a new one, takes its place. */
export function exchangeScratch(socket: net.Socket): void {
  const at = lent.findIndex((one) => !one.socket.destroyed && one.socket.writableLength === 0);
  const free = at < 0 ? undefined : lent.splice(at, 1)[0];
  if (lent.length >= MAX_LENT) lent.shift();
  lent.push({ buffer: scratchBuffer, socket });
  scratchBuffer = free?.buffer ?? Buffer.allocUnsafeSlow(SCRATCH_BYTES);
}

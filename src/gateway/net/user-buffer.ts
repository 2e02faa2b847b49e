/**
 * Reading an accepted TLS socket into our own buffer. `onread` of `net.Socket` is an option for new sockets only, and `tls.Server`
 * makes its sockets itself; the option's three fields are set afterwards instead. They are symbols without a documented name:
 * where they, or the handle's method, are not found, nothing is changed and the caller reads by 'data' events. Those cost a
 * quarter more CPU time per request: memory, a view and a stream's bookkeeping for every read.
 */
import type net from 'node:net';

/** What net.Socket keeps of `onread`: the buffer, its callback, and what makes the next buffer. */
interface OnReadFields {
  buffer: symbol;
  callback: symbol;
  generator: symbol;
}

type Fields = Record<symbol, unknown> & { _handle?: { useUserBuffer?: unknown } | null };

interface BufferHandle {
  useUserBuffer(buffer: Buffer): void;
}

let known: OnReadFields | undefined;

function fieldsOf(socket: net.Socket): OnReadFields | undefined {
  const named = (name: string) => Object.getOwnPropertySymbols(socket).find((one) => one.description === name);
  const [buffer, callback, generator] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map(named);
  if (buffer === undefined || callback === undefined || generator === undefined) return undefined;
  return { buffer, callback, generator };
}

/**
 * From now on `socket` reads into `buffer` and `callback` gets each length; what it returns says whether to read on. False: not
 * possible here, nothing was changed. Octets of reads that had happened before are never lost: with any of them it is not done.
 */
export function readInto(socket: net.Socket, buffer: Buffer, callback: (length: number) => boolean): boolean {
  const fields = socket as unknown as Fields;
  const handle = fields._handle;
  if (handle == null || typeof handle.useUserBuffer !== 'function' || socket.readableLength > 0) return false;
  known ??= fieldsOf(socket);
  if (known === undefined) return false;
  if (fields[known.buffer] !== null || fields[known.callback] !== null || fields[known.generator] !== null)
    return false;
  fields[known.buffer] = buffer;
  fields[known.callback] = callback;
  (handle as BufferHandle).useUserBuffer(buffer);
  return true;
}

/** HTTP/2 by hand (RFC 9113 section 4, RFC 7541), for what a real client or server refuses to send. Nothing is checked, nothing compressed. */
import { once } from 'node:events';
import net from 'node:net';

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
const SETTINGS = 4;
export const GOAWAY = 7;
export const CONTINUATION = 9;
export const END_STREAM = 1;
export const END_HEADERS = 4;
const ACK = 1;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

/** Names and values in their order; octets, not characters. */
export type FieldList = readonly (readonly [string, string])[];

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** An integer with a prefix of `bits` (RFC 7541 section 5.1), `pattern` in the bits before it. */
function integer(value: number, bits: number, pattern: number): Buffer {
  const most = 2 ** bits - 1;
  if (value < most) return Buffer.from([pattern | value]);
  const octets = [pattern | most];
  let rest = value - most;
  for (; rest >= 128; rest = Math.floor(rest / 128)) octets.push((rest % 128) | 128);
  octets.push(rest);
  return Buffer.from(octets);
}

function text(octets: string): Buffer {
  return Buffer.concat([integer(octets.length, 7, 0), Buffer.from(octets, 'latin1')]);
}

/** A header block of literals that are never indexed. */
export function block(fields: FieldList): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0x10]), text(name), text(value)]));
}

/** One literal that the other side puts into its table. */
export function indexed(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);
}

/** One end of an HTTP/2 connection. Frames that came are in `frames`, those of the connection left out. */
export class FrameEnd {
  readonly socket: net.Socket;
  readonly frames: Frame[] = [];
  /** Called after each frame that came. */
  onFrame: (frame: Frame) => void = () => {};
  closed = false;
  private rest: Buffer = Buffer.alloc(0);
  private prefaceLeft: number;

  constructor(socket: net.Socket, role: 'client' | 'server') {
    this.socket = socket;
    this.prefaceLeft = role === 'server' ? PREFACE.length : 0;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('data', (octets: Buffer) => this.take(octets));
    if (role === 'client') socket.write(PREFACE);
    socket.write(frame(SETTINGS, 0, 0));
  }

  private take(octets: Buffer): void {
    this.rest = Buffer.concat([this.rest, octets]);
    const skipped = Math.min(this.prefaceLeft, this.rest.length);
    this.prefaceLeft -= skipped;
    this.rest = this.rest.subarray(skipped);
    while (this.rest.length >= 9) {
      const length = this.rest.readUIntBE(0, 3);
      if (this.rest.length < 9 + length) return;
      const one = {
        type: this.rest[3]!,
        flags: this.rest[4]!,
        stream: this.rest.readUInt32BE(5),
        payload: this.rest.subarray(9, 9 + length),
      };
      this.rest = this.rest.subarray(9 + length);
      this.arrived(one);
    }
  }

  private arrived(one: Frame): void {
    if (one.type === SETTINGS && (one.flags & ACK) === 0) this.socket.write(frame(SETTINGS, ACK, 0));
    if (one.stream === 0 && one.type !== GOAWAY) return;
    this.frames.push(one);
    this.onFrame(one);
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Frames of one stream. */
  of(stream: number): Frame[] {
    return this.frames.filter((one) => one.stream === stream);
  }

  /** The code of the RST_STREAM that ended a stream; undefined when none did. */
  resetCode(stream: number): number | undefined {
    return this.of(stream)
      .find(({ type }) => type === RST_STREAM)
      ?.payload.readUInt32BE(0);
  }

  /** Content that came on a stream. */
  content(stream: number): string {
    const pieces = this.of(stream).filter(({ type }) => type === DATA);
    return Buffer.concat(pieces.map(({ payload }) => payload)).toString('latin1');
  }

  /** A stream that the other side ended, or reset. */
  isOver(stream: number): boolean {
    return this.of(stream).some(
      ({ type, flags }) => type === RST_STREAM || ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0),
    );
  }
}

export async function connectFrames(port: number): Promise<FrameEnd> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return new FrameEnd(socket, 'client');
}

const PSEUDO = [':method', ':scheme', ':path', ':authority'];

/** The head of a request on `stream`; `fields` follow the pseudo-fields, or replace those of the same name. */
export function requestHead(stream: number, fields: FieldList = [], flags = END_STREAM | END_HEADERS): Buffer {
  const given = new Map(fields);
  const pseudo: FieldList = [
    [':method', given.get(':method') ?? 'GET'],
    [':scheme', given.get(':scheme') ?? 'http'],
    [':path', given.get(':path') ?? '/'],
    [':authority', given.get(':authority') ?? 'svc'],
  ];
  return frame(HEADERS, flags, stream, block([...pseudo, ...fields.filter(([name]) => !PSEUDO.includes(name))]));
}

export interface FrameServer {
  port: number;
  connections: FrameEnd[];
  close(): Promise<void>;
}

/** A cleartext HTTP/2 instance by hand: `onFrame` gets every frame of a stream. */
export async function startFrameServer(onFrame: (end: FrameEnd, frame: Frame) => void): Promise<FrameServer> {
  const connections: FrameEnd[] = [];
  const server = net.createServer({ noDelay: true }, (socket) => {
    const end = new FrameEnd(socket, 'server');
    end.onFrame = (one) => onFrame(end, one);
    connections.push(end);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as net.AddressInfo).port,
    connections,
    close: async () => {
      server.close();
      for (const { socket } of connections) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}

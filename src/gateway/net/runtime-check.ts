/**
 * What the gateway needs of Node.js beyond its documentation, tried on loopback connections before the first table is taken. The data
 * path's own code is what is tried. A read that does not deliver exactly what was sent makes its kind of socket read by 'data' events;
 * where there is no other way, the gateway does not start.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { DavyError, messageOf } from '../../lib/error.ts';
import { HostAddress } from '../../lib/host-address.ts';
import { gatewayErrors } from '../errors.ts';
import { FrameScan } from '../http2/frame-scan.ts';
import { Wire } from '../http2/wire.ts';
import { limits } from '../limits.ts';
import { Channel, type ChannelOwner } from './channel.ts';
import { refuseFastReads, type SocketKind } from './fast-path.ts';

const LOCAL = '127.0.0.1';
/** TCP has no broadcast: connecting there fails at once, and no packet is sent. */
const NOWHERE = '255.255.255.255';
const TOKEN_BYTES = 64;
/** At most this much is written; the kernel takes less of a connection whose reader waits. */
const FLOOD_BYTES = 32 * 1024 * 1024;
const PIECE_BYTES = 64 * 1024;

/** Closes what a try has opened. */
type Opened = { destroy(): void }[];
type Try = (token: Buffer, opened: Opened) => Promise<Buffer>;

/** Reads `length` octets as the data path does. */
class Reader implements ChannelOwner {
  private readonly length: number;
  private text = Buffer.alloc(0);
  private settle: { resolve(text: Buffer): void; reject(error: Error): void } | null = null;

  constructor(length: number) {
    this.length = length;
  }

  /** What came first; rejects when the connection ends before that. */
  get whole(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
      this.onBytes(this.text, 0, 0);
    });
  }

  onBytes(buf: Buffer, start: number, end: number): void {
    this.text = Buffer.concat([this.text, buf.subarray(start, end)]);
    if (this.text.length >= this.length) this.settle?.resolve(this.text);
  }

  onEnd(): void {}

  onDrain(): void {}

  onClose(error: Error | undefined): void {
    this.settle?.reject(error ?? new Error('the connection was closed'));
  }
}

async function listening<S extends net.Server>(server: S, opened: Opened): Promise<number> {
  opened.push({ destroy: () => server.close() });
  server.listen(0, LOCAL);
  await once(server, 'listening');
  return (server.address() as net.AddressInfo).port;
}

/** Reads on a channel that `make` opens, with another connection's octets in the memory. */
async function readOn(make: (reader: Reader) => Channel, length: number, opened: Opened): Promise<Buffer> {
  const reader = new Reader(length);
  opened.push(make(reader));
  return reader.whole;
}

const accepted: Try = async (token, opened) => {
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true });
  const client = net.connect({ host: LOCAL, port: await listening(server, opened) });
  opened.push(client.on('error', () => {}));
  const [socket] = (await once(server, 'connection')) as [net.Socket];
  client.write(token);
  return readOn((reader) => Channel.accept(socket, reader), token.length, opened);
};

/** The first address of the name fails, so that Node.js goes on with a second handle. */
const connecting: Try = async (token, opened) => {
  const server = net.createServer((socket) => {
    opened.push(socket.on('error', () => {}));
    socket.write(token);
  });
  const port = await listening(server, opened);
  const addresses = [NOWHERE, LOCAL].map((address) => ({ address, family: 4 }));
  const lookup: net.LookupFunction = (_name, _options, done) => setImmediate(done, null, addresses);
  const host = new HostAddress('runtime.check', { lookup });
  return readOn((reader) => Channel.connect(host, port, reader, () => {}), token.length, opened);
};

const secure: Try = async (token, opened) => {
  const key = randomBytes(32);
  const psk = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } as const;
  const server = tls.createServer({ ...psk, pskCallback: () => key });
  const port = await listening(server, opened);
  const client = tls.connect({
    ...{ ...psk, host: LOCAL, port, checkServerIdentity: () => undefined },
    pskCallback: () => ({ psk: key, identity: 'runtime-check' }),
  });
  opened.push(client.on('error', () => {}));
  const [socket] = (await once(server, 'secureConnection')) as [tls.TLSSocket];
  client.write(token);
  return readOn((reader) => Channel.secure(socket, reader), token.length, opened);
};

/** node:http2 takes a wire for the socket of a connection, at both of its ends. */
const handover: Try = async (token, opened) => {
  const front = http2.createServer((_request, response) => response.end(token));
  front.on('session', (session) => opened.push(session));
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, (socket) => {
    const wire = new Wire(new FrameScan('client'), () => {});
    wire.attach(Channel.accept(socket, wire));
    front.emit('connection', wire);
  });
  const port = await listening(server, opened);
  const wire = new Wire(new FrameScan('server'), () => {});
  await new Promise<void>((resolve) => wire.attach(Channel.connect(new HostAddress(LOCAL), port, wire, resolve)));
  const session = http2.connect(`http://${LOCAL}`, { createConnection: () => wire });
  opened.push(session.on('error', () => {}));
  return Buffer.concat(await session.request({ ':path': '/' }).toArray());
};

/** Memory whose octets Node.js no longer counts as unsent is used again at once: none of it may still be on its way. */
const writing: Try = async (token, opened) => {
  const server = net.createServer({ pauseOnConnect: true });
  const client = net.connect({ host: LOCAL, port: await listening(server, opened) });
  opened.push(client.on('error', () => {}));
  const [reader] = (await once(server, 'connection')) as [net.Socket];
  opened.push(reader.on('error', () => {}));
  let sent = 0;
  for (let full = false; !full && sent < FLOOD_BYTES; sent += PIECE_BYTES) {
    const piece = Buffer.alloc(PIECE_BYTES, token);
    client.write(piece);
    full = client.writableLength > 0;
    if (!full) piece.fill(0);
  }
  client.end();
  let at = 0;
  for await (const chunk of reader.resume()) {
    const piece = chunk as Buffer;
    const from = at % token.length;
    if (!piece.equals(Buffer.alloc(piece.length + from, token).subarray(from))) return piece.subarray(0, TOKEN_BYTES);
    at += piece.length;
  }
  return at === sent ? token : Buffer.from(`${at} of ${sent}`);
};

const READS: Record<SocketKind, Try> = { accepted, connecting, secure };
const NEEDED = {
  'hand a connection over to node:http2': handover,
  'tell when the kernel has taken what was written': writing,
};

/** Null when the try delivered its token, else what it did. */
async function problemOf(one: Try): Promise<string | null> {
  const token = randomBytes(TOKEN_BYTES);
  const opened: Opened = [];
  const late = new AbortController();
  const limit = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no end within ${limits.runtimeCheckMs} ms`)),
      limits.runtimeCheckMs,
    );
    late.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  try {
    const delivered = await Promise.race([one(token, opened), limit]);
    return delivered.equals(token) ? null : 'other octets came than were sent';
  } catch (error) {
    return messageOf(error);
  } finally {
    late.abort();
    for (const each of opened.reverse()) each.destroy();
  }
}

/**
 * Tries everything once. Returns a sentence for each kind of socket that reads by events from now on. Throws `gateway/unfit-runtime` where
 * there is no other way.
 */
export async function checkRuntime(): Promise<string[]> {
  const findings: string[] = [];
  for (const [kind, one] of Object.entries(READS) as [SocketKind, Try][]) {
    const problem = await problemOf(one);
    if (problem === null) continue;
    refuseFastReads(kind);
    findings.push(
      `Node.js ${process.version} does not read ${kind} sockets into the gateway's memory (${problem}); they are read by events, which is slower.`,
    );
  }
  for (const [what, one] of Object.entries(NEEDED)) {
    const problem = await problemOf(one);
    if (problem !== null) {
      const sentence = `Node.js ${process.version} does not ${what} as the gateway needs it: ${problem}.`;
      throw new DavyError(gatewayErrors['unfit-runtime'], sentence);
    }
  }
  return findings;
}

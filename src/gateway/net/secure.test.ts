import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import {
  answering,
  countRequests,
  type Script,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { readInto } from './user-buffer.ts';

const DIR = join(import.meta.dirname, '../testing/certificates');
const pem = (name: string) => readFileSync(join(DIR, name));
const ROUTE = {
  tls: { certificates: [{ names: [], certFile: join(DIR, 'one.pem'), keyFile: join(DIR, 'one.key') }] },
};

let gateway: TestGateway;
let upstream: TestUpstream;

async function start(script: Script): Promise<void> {
  upstream = await startUpstream(script);
  gateway = await startGateway({ stable: [upstream], route: ROUTE });
}

async function dial(port: number, options: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port, host: '127.0.0.1', ca: pem('ca.pem'), servername: 'one.test', ...options });
  socket.on('error', () => {});
  await once(socket, 'secureConnect');
  return socket;
}

/** Everything that comes until the gateway closes. */
async function rest(socket: tls.TLSSocket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(socket, 'close');
  return Buffer.concat(chunks);
}

/** Application data of TLS 1.3 by its head (RFC 8446 section 5.2), 32 octets that no key has sealed. */
const FORGED = Buffer.from([0x17, 0x03, 0x03, 0x00, 0x20, ...Buffer.alloc(32, 0x5a)]);

const pattern = (length: number) =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + (i >> 16)) & 0xff));

describe('reading a TLS socket into our buffer', () => {
  let server: Server;
  afterEach(() => server.close());

  /** One connection through a TLS server; what its socket reads, once `ready` has looked at it. */
  async function accepted(ready: (socket: Socket) => void, before?: Buffer): Promise<tls.TLSSocket> {
    server = tls.createServer({ cert: pem('one.pem'), key: pem('one.key') }, ready).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = await dial((server.address() as { port: number }).port);
    if (before !== undefined) client.write(before);
    return client;
  }

  it('works on this Node.js: octets come in the buffer, none as "data"', async () => {
    const buffer = Buffer.alloc(1000);
    let asData = 0;
    const text = new Promise<string>((resolve) => {
      void accepted((socket) => {
        const done = readInto(socket, buffer, (length) => {
          resolve(`${done} ${buffer.toString('latin1', 0, length)}`);
          return true;
        });
        socket.on('data', () => asData++);
        socket.resume();
      }, Buffer.from('hello')).then((client) => text.finally(() => client.destroy()));
    });
    expect(await text).toBe('true hello');
    expect(asData).toBe(0);
  });

  it('is declined for what has no handle, for what is read into already, and without the fields', async () => {
    const results: boolean[] = [];
    const client = await new Promise<tls.TLSSocket>((resolve) => {
      const dialled = accepted((socket) => {
        results.push(readInto({ readableLength: 0 } as Socket, Buffer.alloc(9), () => true));
        results.push(
          readInto({ readableLength: 0, _handle: { useUserBuffer() {} } } as never, Buffer.alloc(9), () => true),
        );
        results.push(readInto(socket, Buffer.alloc(9), () => true));
        results.push(readInto(socket, Buffer.alloc(9), () => true));
        resolve(dialled);
      });
    });
    expect(results).toEqual([false, false, true, false]);
    client.destroy();
    server = createServer();
  });
});

describe('a client over TLS', () => {
  afterEach(async () => {
    await gateway.close();
    await upstream.close();
  });

  it('gets the answers of a pipeline in order, however its octets are cut', async () => {
    await start(answering((index) => `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${index % 10}`));
    const requests = Array.from({ length: 9 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: svc\r\n\r\n`).join('');
    const text = Buffer.from(`${requests}GET /9 HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n`, 'latin1');
    for (const size of [text.length, 37, 1]) {
      const client = await dial(gateway.port, { noDelay: true } as tls.ConnectionOptions);
      const answer = rest(client);
      for (let at = 0; at < text.length; at += size) client.write(text.subarray(at, at + size));
      const bodies = (await answer)
        .toString('latin1')
        .match(/\r\n\r\n\d/g)
        ?.map((body) => body.slice(4));
      for (const connection of upstream.connections.splice(0)) connection.socket.destroy();
      expect(bodies).toEqual([...'0123456789']);
    }
  });

  it('sends and gets large bodies unchanged, at the pace of a slow upstream and a slow reader', async () => {
    const body = pattern(6_000_000);
    await start((connection) => {
      connection.socket.pause();
      setImmediate(() => connection.socket.resume());
      if (connection.answers > 0 || countRequests(connection.received).complete === 0) return;
      connection.answers = 1;
      const octets = Buffer.from(connection.received.slice(connection.received.indexOf('\r\n\r\n') + 4), 'latin1');
      connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${octets.length}\r\n\r\n`);
      connection.socket.write(octets);
    });
    const client = await dial(gateway.port);
    client.write(`PUT / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`);
    client.write(body);
    client.on('data', () => {
      client.pause();
      setImmediate(() => client.resume());
    });
    const answer = await rest(client);
    expect(answer.subarray(answer.indexOf('\r\n\r\n') + 4).equals(body)).toBe(true);
  });

  it('gets an answer after it has closed its sending side', async () => {
    await start(answering());
    const client = await dial(gateway.port, { allowHalfOpen: true } as tls.ConnectionOptions);
    client.end('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    expect((await rest(client)).toString('latin1')).toMatch(/^HTTP\/1\.1 200 OK.*ok$/s);
  });

  it('may renegotiate (TLS 1.2) between requests', async () => {
    await start(answering());
    const client = await dial(gateway.port, { maxVersion: 'TLSv1.2' });
    const answer = rest(client);
    client.write('GET /1 HTTP/1.1\r\nHost: svc\r\n\r\n');
    await new Promise<void>((resolve, reject) => {
      client.renegotiate({}, (error) => (error === null ? resolve() : reject(error)));
    });
    client.write('GET /2 HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n');
    expect((await answer).toString('latin1').match(/200 OK/g)).toHaveLength(2);
  });

  /** A client whose octets pass through a relay of ours; `toGateway` is the relay's side towards the gateway. */
  async function dialThroughRelay(): Promise<{ client: tls.TLSSocket; toGateway: Socket }> {
    const toGateway = connect({ port: gateway.port, host: '127.0.0.1' }).on('error', () => {});
    const relay = createServer((socket) => {
      socket.on('error', () => {});
      socket.pipe(toGateway).pipe(socket);
      relay.close();
    }).listen(0, '127.0.0.1');
    await once(relay, 'listening');
    return { client: await dial((relay.address() as { port: number }).port), toGateway };
  }

  it.each([
    ['breaks off', (socket: Socket) => void socket.resetAndDestroy()],
    ['sends a record that was not sealed', (socket: Socket) => void socket.write(FORGED)],
  ])('is let go, with its upstream, when it %s', async (_what, harm) => {
    await start(() => {});
    const { client, toGateway } = await dialThroughRelay();
    client.write('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    await expect.poll(() => upstream.connections[0]?.received ?? '').toContain('GET /');
    const closed = once(upstream.connections[0]?.socket as Socket, 'close');
    harm(toGateway);
    await closed;
    client.destroy();
    toGateway.destroy();
  });
});

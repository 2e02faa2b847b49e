import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { HostAddress } from '../lib/host-address.ts';
import type { HealthProbe } from '../spec/model.ts';
import { ask, type ProbeResult } from './probe.ts';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Listens until the test is over; the port. */
async function listen(server: net.Server | http.Server | http2.Http2Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, host);
  await once(server, 'listening');
  open.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as net.AddressInfo).port;
}

const askAt = (port: number, probe: HealthProbe, timeoutMs = 30_000, host = '127.0.0.1') =>
  ask({ host: new HostAddress(host), port, timeoutMs }, probe, new AbortController().signal);
const http1: HealthProbe = { kind: 'http1', path: '/q/health' };
const h2c: HealthProbe = { kind: 'h2c', path: '/q/health' };
const whole: HealthProbe = { kind: 'grpc', service: '' };
const tcp: HealthProbe = { kind: 'tcp' };
const ok: ProbeResult = { ok: true };

type Answer = (status: number, headers?: http.OutgoingHttpHeaders) => net.Server | http2.Http2Server;
const http1Server: Answer = (status, headers = {}) =>
  http.createServer((_, response) => response.writeHead(status, headers).end());
const h2cServer: Answer = (status, headers = {}) =>
  http2.createServer((_, response) => response.writeHead(status, headers).end());

async function freePort(): Promise<number> {
  const server = net.createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  return port;
}

describe.each([
  ['HTTP/1.1', http1, http1Server],
  ['cleartext HTTP/2', h2c, h2cServer],
] as const)('a path over %s', (_name, probe, server) => {
  it.each([200, 204, 299])('%i is good', async (status) => {
    expect(await askAt(await listen(server(status)), probe)).toEqual(ok);
  });

  it.each([300, 302, 304, 404, 500, 503])('%i is not, and says so', async (status) => {
    const port = await listen(server(status, { location: '/elsewhere' }));
    expect(await askAt(port, probe)).toEqual({ ok: false, answered: true, says: `GET /q/health answered ${status}` });
  });

  it('reaches an IPv6 address', async () => {
    const port = await listen(server(200), '::1');
    expect(await askAt(port, probe, 30_000, '::1')).toEqual(ok);
  });

  it('the head decides, however long the content goes on', async () => {
    const endless = (_: unknown, response: http.ServerResponse) => {
      response.writeHead(200);
      response.write('a');
    };
    const endlessServer = probe === http1 ? http.createServer(endless) : http2.createServer(endless as never);
    const port = await listen(endlessServer);
    expect(await askAt(port, probe)).toEqual(ok);
  });
});

describe('what listens speaks something else', () => {
  it.each([
    ['HTTP/2', http1, h2cServer(200), 'HTTP/1.1'],
    ['HTTP/1.1', h2c, http1Server(200), 'cleartext HTTP/2'],
    ['HTTP/1.1', whole, http1Server(200), 'cleartext HTTP/2'],
    ['a greeting of its own', h2c, net.createServer((socket) => socket.write('220 ready\r\n')), 'cleartext HTTP/2'],
    ['a greeting of its own', http1, net.createServer((socket) => socket.write('220 ready\r\n')), 'HTTP/1.1'],
  ])(
    '%s: the check of %j says which protocol is missing, and that it answered',
    async (_name, probe, server, missing) => {
      expect(await askAt(await listen(server), probe)).toEqual({
        ok: false,
        answered: true,
        says: `what listens on its port does not speak ${missing} (\`traffic.protocol\` says what the instances speak)`,
      });
    },
  );
});

describe.each([
  ['http1', http1, 'GET /q/health'],
  ['h2c', h2c, 'GET /q/health'],
  ['grpc', whole, 'POST /grpc.health.v1.Health/Check'],
] as const)('no answer to the %s check', (_name, probe, what) => {
  it('nothing listens', async () => {
    expect(await askAt(await freePort(), probe)).toEqual({
      ok: false,
      answered: false,
      says: 'nothing listens on its port',
    });
  });

  it('a connection is accepted, and nothing follows', async () => {
    const port = await listen(net.createServer(() => {}));
    const says = `${what} was not answered within 50 ms`;
    expect(await askAt(port, probe, 50)).toEqual({ ok: false, answered: false, says });
  });

  it('a connection is accepted and closed', async () => {
    const port = await listen(net.createServer((socket) => socket.end()));
    expect(await askAt(port, probe)).toMatchObject({ ok: false, answered: false, says: expect.stringContaining(what) });
  });

  it('it ends at once when the caller gives up', async () => {
    const port = await listen(net.createServer(() => {}));
    const caller = new AbortController();
    const asked = ask({ host: new HostAddress('127.0.0.1'), port, timeoutMs: 600_000 }, probe, caller.signal);
    caller.abort();
    expect(await asked).toMatchObject({ ok: false });
  });
});

it.each([http1, h2c, whole, tcp])('what cannot even be asked is a failed check: %j', async (probe) => {
  const result = await askAt(70_000, probe);
  expect(result).toMatchObject({ ok: false, answered: false, says: expect.stringMatching(/^the check failed: /) });
});

it.runIf(process.platform === 'linux').each([h2c, whole, tcp])(
  'an IPv6 address with a zone can be asked: %j',
  async (probe) => {
    const port = await listen(h2cServer(200), '::1');
    expect(await askAt(port, probe, 30_000, '::1%lo')).not.toMatchObject({ answered: false });
  },
);

describe('a TCP connection', () => {
  it('is enough, and nothing is sent', async () => {
    const octets: Buffer[] = [];
    const server = net.createServer((socket) => socket.on('data', (piece) => octets.push(piece)));
    const ended = once(server, 'connection').then(([socket]) => once(socket as net.Socket, 'close'));
    expect(await askAt(await listen(server), tcp)).toEqual(ok);
    await ended;
    expect(octets).toEqual([]);
  });

  it('is refused where nothing listens', async () => {
    expect(await askAt(await freePort(), tcp)).toEqual({
      ok: false,
      answered: false,
      says: 'nothing listens on its port',
    });
  });
});

describe('a stream over HTTP/2', () => {
  it('that is reset says so', async () => {
    const server = http2.createServer();
    server.on('stream', (stream) => {
      stream.on('error', () => {});
      stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    });
    const says = 'GET /q/health was reset with error code 7';
    expect(await askAt(await listen(server), h2c)).toEqual({ ok: false, answered: true, says });
  });
});

const bytes = {
  requestSerialize: (x: Buffer) => x,
  requestDeserialize: (x: Buffer) => x,
  responseSerialize: (x: Buffer) => x,
  responseDeserialize: (x: Buffer) => x,
};

/** A real gRPC server whose health service answers with these octets, or with an error. */
async function grpcServer(answer: Buffer | Partial<grpc.StatusObject>): Promise<{ port: number; asked: string[] }> {
  const asked: string[] = [];
  const server = new grpc.Server();
  const check = { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, ...bytes };
  server.addService(
    { check },
    {
      check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
        asked.push(call.request.toString('latin1'));
        if (Buffer.isBuffer(answer)) callback(null, answer);
        else callback(answer);
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  open.push(() => server.forceShutdown());
  return { port, asked };
}

describe("gRPC's health check, with a real server", () => {
  it.each([
    ['SERVING', [8, 1]],
    ['SERVING, after a field that nobody knows yet', [18, 2, 65, 66, 8, 1]],
    ['SERVING, before fixed-size fields', [8, 1, 0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4]],
    ['SERVING, as the last of two', [8, 2, 8, 1]],
  ])('%s is good', async (_name, octets) => {
    expect(await askAt((await grpcServer(Buffer.from(octets))).port, whole)).toEqual(ok);
  });

  it.each([
    [[8, 2], 'the health check says that the server is NOT_SERVING'],
    [[8, 0], 'the health check says that the server is UNKNOWN'],
    [[], 'the health check says that the server is UNKNOWN'],
    [[8, 3], 'the health check says that the server is SERVICE_UNKNOWN'],
    [[8, 77], 'the health check says that the server is in state 77'],
    [[8], 'the health check says that the server is unreadable'],
    [[8, 1, 18, 200], 'the health check says that the server is unreadable'],
    [[11, 1], 'the health check says that the server is unreadable'],
    [Array(24).fill(0xff), 'the health check says that the server is unreadable'],
  ])('a message of %j says: %s', async (octets, says) => {
    const { port } = await grpcServer(Buffer.from(octets as number[]));
    expect(await askAt(port, whole)).toEqual({ ok: false, answered: true, says });
  });

  it('asks for the server as a whole with an empty message, and for a service by its name', async () => {
    const { port, asked } = await grpcServer(Buffer.from([8, 1]));
    await askAt(port, whole);
    await askAt(port, { kind: 'grpc', service: 'shop.Orders' });
    expect(asked).toEqual(['', '\n\x0bshop.Orders']);
  });

  it('a failed check is told with its status and its words, cut where they are long', async () => {
    const of = async (status: Partial<grpc.StatusObject>) =>
      askAt((await grpcServer(status)).port, { kind: 'grpc', service: 'shop.Orders' });
    expect(await of({ code: grpc.status.NOT_FOUND, details: 'unknown service' })).toMatchObject({
      says: 'the health check does not know shop.Orders (NOT_FOUND)',
    });
    expect(await of({ code: grpc.status.INTERNAL, details: 'Datenbank läuft nicht' })).toMatchObject({
      answered: true,
      says: 'the health check of shop.Orders failed with INTERNAL: Datenbank läuft nicht',
    });
    const long = await of({ code: grpc.status.UNAVAILABLE, details: 'x'.repeat(5000) });
    expect(long.ok ? '' : long.says).toHaveLength(
      'the health check of shop.Orders failed with UNAVAILABLE: '.length + 100,
    );
  });

  it('a server without a health service says which service it lacks', async () => {
    const server = new grpc.Server();
    const port = await new Promise<number>((resolve) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)),
    );
    open.push(() => server.forceShutdown());
    expect(await askAt(port, whole)).toEqual({
      ok: false,
      answered: true,
      says: 'the server does not offer grpc.health.v1.Health (UNIMPLEMENTED)',
    });
  });

  it.each([
    [404, { 'content-type': 'text/html' }],
    [200, { 'content-type': 'application/grpc-web' }],
    [200, {}],
  ])('an HTTP/2 server that answers %i %j is no gRPC server', async (status, headers) => {
    const says = `POST /grpc.health.v1.Health/Check answered ${status} and is no gRPC answer`;
    expect(await askAt(await listen(h2cServer(status, headers)), whole)).toEqual({ ok: false, answered: true, says });
  });

  it('an answer without grpc-status is none', async () => {
    const port = await listen(h2cServer(200, { 'content-type': 'application/grpc' }));
    expect(await askAt(port, whole)).toMatchObject({
      says: 'the health check of the server ended without a grpc-status',
    });
  });
});

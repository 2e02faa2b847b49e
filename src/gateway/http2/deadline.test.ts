/** Deadlines of gRPC calls (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Timeout"), on real sockets with a shorter time for silence. */
import { once } from 'node:events';
import http2 from 'node:http2';
import type net from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { ascii } from '../http1/bytes.ts';
import { DONE, Head, parseRequestHead } from '../http1/head.ts';
import { partsOf } from '../stats/answer-code.ts';
import { FLAG_RADIX, FLAGS } from '../stats/flags.ts';
import type { TestGateway, TestUpstream } from '../testing/harness.ts';
import { closedAfterEach, openedForTest } from '../testing/opened.ts';
import { grpcTimeoutMs } from './grpc.ts';

vi.mock('../limits.ts', async (original) => {
  const { limits } = (await original()) as typeof import('../limits.ts');
  return { limits: { ...limits, answerIdleMs: 3_000, bodyIdleMs: 100 } };
});

const { gatewayTo } = openedForTest();
const open = closedAfterEach();
const route = { protocol: 'grpc' as const, timeoutMs: 100, retries: { maxTries: 3, perTryMs: 50, budgetShare: 1 } };

/** A gRPC server that answers as `serve` says. */
async function serverOf(serve: (stream: http2.ServerHttp2Stream) => void): Promise<TestUpstream> {
  const server = http2.createServer();
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    stream.resume();
    serve(stream);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  open.push(() => server.close());
  return { port: (server.address() as net.AddressInfo).port } as TestUpstream;
}

function answer(stream: http2.ServerHttp2Stream): void {
  if (stream.destroyed) return;
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(Buffer.alloc(5));
}

/** What came of one call. `whole`: the request ends; a client that streams leaves it open. */
async function call(gateway: TestGateway, fields: http2.OutgoingHttpHeaders = {}, whole = true) {
  const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
  session.on('error', () => {});
  open.push(() => session.destroy());
  const headers = { ':method': 'POST', ':path': '/s/m', 'content-type': 'application/grpc', te: 'trailers', ...fields };
  const stream = session.request(headers);
  let head: http2.IncomingHttpHeaders = {};
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on('response', (got) => {
    head = got;
  });
  stream.on('trailers', (got) => {
    trailers = got;
  });
  stream.on('error', () => {});
  stream.resume();
  if (whole) stream.end(Buffer.alloc(5));
  else stream.write(Buffer.alloc(5));
  stream.on('end', () => stream.end());
  await new Promise((resolve) => stream.on('close', resolve));
  return {
    httpStatus: head[':status'],
    status: trailers['grpc-status'] ?? head['grpc-status'],
    cause: head['x-davy-cause'],
  };
}

const counted = (gateway: TestGateway) => gateway.engine.counters().services[0]!.instances[0]!.firstTry;
const nobody = { timeouts: 0, resets: 0, status5xx: 0 };
const late = (ms: number) => (stream: http2.ServerHttp2Stream) => void setTimeout(() => answer(stream), ms);

describe('a gRPC call', () => {
  it('without a deadline has none: neither the time of the route nor that of a try ends it', async () => {
    const gateway = await gatewayTo({ stable: [await serverOf(late(400))], route });
    expect(await call(gateway)).toMatchObject({ httpStatus: 200, status: '0' });
    expect(counted(gateway)).toMatchObject({ ...nobody, status2xx: 1 });
  });

  it('with a deadline beyond the time of the route has that one', async () => {
    const gateway = await gatewayTo({ stable: [await serverOf(late(400))], route });
    expect(await call(gateway, { 'grpc-timeout': '30S' })).toMatchObject({ httpStatus: 200, status: '0' });
  });

  it('is ended at its deadline with DEADLINE_EXCEEDED; the waiting counts, and the version is not charged', async () => {
    const gateway = await gatewayTo({
      stable: [await serverOf(() => {})],
      route: { ...route, timeoutMs: 5_000, edgesMs: [40] },
    });
    expect(await call(gateway, { 'grpc-timeout': '50m' })).toEqual({ httpStatus: 200, status: '4', cause: 'deadline' });
    expect(counted(gateway)).toMatchObject({ ...nobody, requests: 1, aborted: 1, over: [1] });
    const [report] = gateway.engine.reports();
    expect(report!.own.deadline).toBe(1);
    expect(report!.ownCodes.map(([key]) => FLAGS[Number(key.split(' ')[1])])).toEqual(['UMSDR']);
  });

  it('is ended at its deadline also in the middle of a stream of answers', async () => {
    const streaming = (stream: http2.ServerHttp2Stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      const timer = setInterval(() => stream.write(Buffer.alloc(5)), 20);
      stream.on('close', () => clearInterval(timer));
    };
    const gateway = await gatewayTo({ stable: [await serverOf(streaming)], route });
    expect(await call(gateway, { 'grpc-timeout': '300m' })).toMatchObject({ httpStatus: 200, status: undefined });
    expect(counted(gateway)).toMatchObject(nobody);
    const codes = gateway.engine
      .reports()[0]!
      .instances[0]!.codes.map(([key]) => [partsOf(Math.floor(key / FLAG_RADIX)), FLAGS[key % FLAG_RADIX]]);
    expect(codes).toEqual([[{ status: 200, grpcStatus: 4 }, 'UMSDR']]);
  });

  it('that streams its request may be silent for longer than an upload', async () => {
    const gateway = await gatewayTo({ stable: [await serverOf(late(400))], route });
    expect(await call(gateway, {}, false)).toMatchObject({ httpStatus: 200, status: '0' });
  });

  it('in which nothing moves at all is ended by the gateway in its time, flagged SI and charged to nobody', async () => {
    const gateway = await gatewayTo({ stable: [await serverOf(() => {})], route });
    expect(await call(gateway)).toMatchObject({ httpStatus: 200, status: '14', cause: 'stream-idle' });
    expect(counted(gateway)).toMatchObject({ ...nobody, requests: 1, unjudged: 1 });
    expect(gateway.engine.reports()[0]!.own.streamIdle).toBe(1);
  });
});

describe('grpc-timeout', () => {
  it.each([
    ['1H', 3_600_000],
    ['99999999M', 99_999_999 * 60_000],
    ['30S', 30_000],
    ['250m', 250],
    ['5u', 0.005],
    ['7n', 7e-6],
    ['0S', 0],
    ['', null],
    ['30', null],
    ['S', null],
    ['123456789m', null],
    ['1.5S', null],
    ['-1S', null],
    ['1 S', null],
    ['1s', null],
  ])('%j is %j ms', (value, expected) => {
    const octets = ascii(`POST / HTTP/1.1\r\nHost: a\r\ngrpc-timeout: ${value}\r\n\r\n`);
    const head = new Head();
    expect(parseRequestHead(head, octets, 0, octets.length)).toBe(DONE);
    expect(grpcTimeoutMs(head, octets)).toBe(expected);
  });

  it('twice says nothing', () => {
    const octets = ascii('POST / HTTP/1.1\r\nHost: a\r\ngrpc-timeout: 1S\r\ngrpc-timeout: 2S\r\n\r\n');
    const head = new Head();
    parseRequestHead(head, octets, 0, octets.length);
    expect(grpcTimeoutMs(head, octets)).toBeNull();
  });
});

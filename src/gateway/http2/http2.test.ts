import { once } from 'node:events';
import http2 from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import {
  answering,
  type RouteParts,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

async function gatewayTo(parts: RouteParts): Promise<TestGateway> {
  const gateway = await startGateway(parts);
  open.push(() => gateway.close());
  return gateway;
}

async function upstreamWith(answer?: string): Promise<TestUpstream> {
  const upstream = await startUpstream(answering(answer));
  open.push(() => upstream.close());
  return upstream;
}

function sessionTo(port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => {});
  open.push(() => session.destroy());
  return session;
}

async function fetchOver(
  session: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
): Promise<{ status: unknown; headers: http2.IncomingHttpHeaders; body: string }> {
  const stream = session.request(headers);
  stream.end(body);
  const [answer] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  return { status: answer[':status'], headers: answer, body: Buffer.concat(await stream.toArray()).toString() };
}

describe('HTTP/2 with prior knowledge, in front of an HTTP/1.1 service', () => {
  it('carries many streams at once, each forwarded like any request', async () => {
    const upstream = await upstreamWith();
    const gateway = await gatewayTo({ stable: [upstream] });
    const session = sessionTo(gateway.port);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => fetchOver(session, { ':path': `/${i}`, 'x-a': String(i) })),
    );
    expect(answers.every(({ status, body }) => status === 200 && body === 'ok')).toBe(true);
    expect(upstream.received()).toMatch(/GET \/7 HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\nx-a: 7\r\n/);
    expect(gateway.engine.counters().services[0]!.instances[0]!.outcome.status2xx).toBe(20);
  });

  it('streams bodies and passes trailers', async () => {
    const upstream = await upstreamWith(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n',
    );
    const gateway = await gatewayTo({ stable: [upstream] });
    const stream = sessionTo(gateway.port).request({ ':method': 'POST', ':path': '/' });
    stream.write('one');
    stream.end('two');
    const trailers = once(stream, 'trailers');
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('abc');
    expect((await trailers)[0]).toMatchObject({ 'x-sum': '9' });
    expect(upstream.received().replace(/\r\n[0-9a-f]\r\n/g, '')).toContain('onetwo');
  });

  it('answers what the core refuses, and resets what breaks off', async () => {
    const upstream = await upstreamWith();
    const gateway = await gatewayTo({ stable: [upstream] });
    const session = sessionTo(gateway.port);
    // nghttp2 refuses some of it before we do; none of it may arrive.
    for (const bad of [
      { ':path': '/#x' },
      { ':path': '/a b' },
      { ':path': '/', ':authority': 'a b' },
      { ':path': '/', ':authority': 'u@a' },
    ]) {
      const answer = await fetchOver(session, bad).catch(() => ({ status: 400 }));
      expect([bad, answer.status]).toEqual([bad, 400]);
    }
    expect(upstream.received()).toBe('');
    upstream.script = ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc');
    const stream = session.request({ ':path': '/' });
    await expect(stream.toArray()).rejects.toMatchObject({ code: 'ERR_HTTP2_STREAM_ERROR' });
    expect(
      (await fetchOver(session, { ':path': '/', ':authority': 'x' }).catch(() => ({ status: 'reset' }))).status,
    ).toBe('reset');
  });

  it('HEAD, 204 and an own answer have their ends', async () => {
    const upstream = await upstreamWith('HTTP/1.1 204 No Content\r\n\r\n');
    const gateway = await gatewayTo({ stable: [upstream] });
    const session = sessionTo(gateway.port);
    expect((await fetchOver(session, { ':path': '/' })).status).toBe(204);
    upstream.script = answering('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    expect(await fetchOver(session, { ':path': '/', ':method': 'HEAD' })).toMatchObject({ status: 200, body: '' });
    await gateway.apply({ stable: [] });
    expect(await fetchOver(session, { ':path': '/' })).toMatchObject({
      status: 503,
      headers: { 'x-davy-cause': 'no-upstream' },
    });
  });
});

const bytes = {
  requestSerialize: (x: Buffer) => x,
  requestDeserialize: (x: Buffer) => x,
  responseSerialize: (x: Buffer) => x,
  responseDeserialize: (x: Buffer) => x,
};
const service = {
  unary: { path: '/t.T/Unary', requestStream: false, responseStream: false, ...bytes },
  both: { path: '/t.T/Both', requestStream: true, responseStream: true, ...bytes },
  fail: { path: '/t.T/Fail', requestStream: false, responseStream: false, ...bytes },
};

interface Client extends grpc.Client {
  unary(
    request: Buffer,
    metadata: grpc.Metadata,
    callback: (error: grpc.ServiceError | null, answer?: Buffer) => void,
  ): void;
  fail(request: Buffer, callback: (error: grpc.ServiceError | null) => void): void;
  both(): grpc.ClientDuplexStream<Buffer, Buffer>;
}

describe('gRPC, with a real client and a real server', () => {
  async function start(): Promise<{ client: Client; gateway: TestGateway }> {
    const server = new grpc.Server();
    server.addService(service, {
      unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
        const trailers = new grpc.Metadata();
        trailers.set('x-seen', String(call.metadata.get('x-mine')[0]));
        callback(null, Buffer.concat([Buffer.from('hi '), call.request]), trailers);
      },
      fail: (_call: unknown, callback: grpc.sendUnaryData<Buffer>) =>
        callback({ code: grpc.status.INTERNAL, details: 'broken' }),
      both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (piece: Buffer) => call.write(Buffer.from(piece.toString().toUpperCase())));
        call.on('end', () => call.end());
      },
    });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    open.push(() => server.forceShutdown());
    const gateway = await gatewayTo({ stable: [{ port } as TestUpstream], route: { protocol: 'grpc' } });
    const client = new (grpc.makeClientConstructor(service, 'T'))(
      `127.0.0.1:${gateway.port}`,
      grpc.credentials.createInsecure(),
    ) as unknown as Client;
    open.push(() => client.close());
    return { client, gateway };
  }

  it('calls, streams both ways, and carries metadata and trailers', async () => {
    const { client, gateway } = await start();
    const metadata = new grpc.Metadata();
    metadata.set('x-mine', 'abc');
    const answer = await new Promise<Buffer | undefined>((resolve, reject) =>
      client.unary(Buffer.from('you'), metadata, (error, value) => (error ? reject(error) : resolve(value))),
    );
    expect(String(answer)).toBe('hi you');
    const call = client.both();
    const got: string[] = [];
    call.on('data', (piece: Buffer) => {
      got.push(piece.toString());
      // The answer to each message comes while the call is open.
      if (got.length < 3) call.write(Buffer.from(`m${got.length}`));
      else call.end();
    });
    call.write(Buffer.from('m0'));
    const [status] = (await once(call, 'status')) as [grpc.StatusObject];
    expect(status.code).toBe(grpc.status.OK);
    expect(got).toEqual(['M0', 'M1', 'M2']);
    const outcomes = gateway.engine.counters().services[0]!.instances[0]!.outcome;
    expect(outcomes).toMatchObject({ requests: 2, status2xx: 2, status5xx: 0 });
  });

  it('counts a failed call as what its status stands for, though its HTTP status is 200', async () => {
    const { client, gateway } = await start();
    const error = await new Promise<grpc.ServiceError | null>((resolve) => client.fail(Buffer.from(''), resolve));
    expect(error).toMatchObject({ code: grpc.status.INTERNAL, details: 'broken' });
    expect(gateway.engine.counters().services[0]!.instances[0]!.outcome).toMatchObject({ requests: 1, status5xx: 1 });
  });

  it('is UNAVAILABLE without an instance', async () => {
    const { client, gateway } = await start();
    await gateway.apply({ stable: [], route: { protocol: 'grpc' } });
    const error = await new Promise<grpc.ServiceError | null>((resolve) => client.fail(Buffer.from(''), resolve));
    expect(error?.code).toBe(grpc.status.UNAVAILABLE);
  });
});

describe('gRPC health checks', () => {
  it('keep traffic from a server that does not serve', async () => {
    let serving = 2;
    const server = new grpc.Server();
    const check = { path: '/grpc.health.v1.Health/Check', requestStream: false, responseStream: false, ...bytes };
    const names: string[] = [];
    server.addService(
      { check },
      {
        check: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
          names.push(call.request.toString('latin1', 2));
          callback(null, Buffer.from([0x08, serving]));
        },
      },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    open.push(() => server.forceShutdown());
    const healthCheck = {
      probe: { kind: 'grpc', service: 't.T' } as const,
      everyMs: 20,
      timeoutMs: 1000,
      unhealthyAfter: 1,
      healthyAfter: 1,
    };
    const gateway = await gatewayTo({ stable: [{ port } as TestUpstream], route: { healthCheck } });
    const healthy = () => [...gateway.engine.states.get('svc')!.allEndpoints()][0]!.healthy;
    while (healthy()) await new Promise((resolve) => setTimeout(resolve, 5));
    serving = 1;
    while (!healthy()) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(new Set(names)).toEqual(new Set(['t.T']));
  });
});

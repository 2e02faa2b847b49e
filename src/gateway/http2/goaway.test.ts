import * as grpc from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  type FrameEnd,
  type FrameServer,
  frame,
  GOAWAY,
  HEADERS,
  RST_STREAM,
  startFrameServer,
} from '../testing/h2-frames.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import {
  get,
  type RouteParts,
  startGateway,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

const CODES = { none: 0, internal: 2, refusedStream: 7 };
const number = (value: number): Buffer => {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
};
const goaway = (lastStream: number, code = CODES.none) =>
  frame(GOAWAY, 0, 0, Buffer.concat([number(lastStream), number(code)]));
const reset = (stream: number, code: number) => frame(RST_STREAM, 0, stream, number(code));
const answer = (stream: number, text: string) => [
  frame(HEADERS, END_HEADERS, stream, block([[':status', '200']])),
  frame(DATA, END_STREAM, stream, Buffer.from(text)),
];

/** An instance whose n-th connection does with a whole request what `script[n]` says; later ones answer with their number. */
async function instance(script: ((end: FrameEnd, stream: number) => void)[]): Promise<FrameServer> {
  const server = await startFrameServer((end, one) => {
    if (one.stream === 0 || !end.isOver(one.stream) || one.type === RST_STREAM) return;
    const n = server.connections.indexOf(end);
    const say = script[n] ?? (() => end.send(...answer(one.stream, `answer ${n}`)));
    say(end, one.stream);
  });
  open.push(() => server.close());
  return server;
}

async function gatewayTo(server: { port: number }, more: Partial<RouteParts> = {}): Promise<TestGateway> {
  const stable = [server as TestUpstream];
  const gateway = await startGateway({ stable, ...more, route: { protocol: 'h2c', ...more.route } });
  open.push(() => gateway.close());
  return gateway;
}

const outcomesOf = (gateway: TestGateway) => gateway.engine.counters().services[0]!.instances[0]!.outcome;
const bodyOf = (text: string) => /\r\n(answer \d+)\r\n/.exec(text)?.[1] ?? text;
const POST = 'POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello';

describe('an instance that says GOAWAY', () => {
  it('completes the streams up to the last it names; those above it go over the next connection, also what must not be sent twice', async () => {
    const waiting: { end: FrameEnd; stream: number }[] = [];
    const hold = (end: FrameEnd, stream: number) => {
      waiting.push({ end, stream });
      if (waiting.length === 4) end.send(goaway(3));
    };
    const server = await instance([hold]);
    const gateway = await gatewayTo(server);
    const first = [gateway.exchange(POST), gateway.exchange(POST)];
    await until(() => waiting.length === 2);
    const others = [gateway.exchange(POST), gateway.exchange(get())];
    expect((await Promise.all(others)).map(bodyOf)).toEqual(['answer 1', 'answer 1']);
    for (const { end, stream } of waiting) if (stream <= 3) end.send(...answer(stream, 'answer 0'));
    expect((await Promise.all(first)).map(bodyOf)).toEqual(['answer 0', 'answer 0']);
    expect(server.connections.map((end) => end.content(1))).toEqual(['hello', expect.stringMatching(/^(hello)?$/)]);
    await until(() => outcomesOf(gateway).requests === 4);
    expect(outcomesOf(gateway)).toMatchObject({ status2xx: 4, resets: 0 });
    // Nobody's fault, and no try of the policy: there is none here.
    expect(gateway.engine.counters().services[0]!.own).toMatchObject({ connectionClosed: 0 });
  });

  it.each([
    ['a graceful end', CODES.none],
    ['an error', CODES.internal],
  ])('for %s has not worked on a stream above the last', async (_what, code) => {
    const server = await instance([(end) => end.send(goaway(0, code))]);
    const gateway = await gatewayTo(server);
    expect(bodyOf(await gateway.exchange(POST))).toBe('answer 1');
    expect(outcomesOf(gateway)).toMatchObject({ status2xx: 1, resets: 0 });
  });

  it('again on the next connection has failed the request, and is charged', async () => {
    const refuse = (end: FrameEnd) => end.send(goaway(0));
    const server = await instance([refuse, refuse, refuse]);
    const gateway = await gatewayTo(server);
    const text = await gateway.exchange(POST);
    expect(statusOf(text)).toBe(502);
    expect(text).toContain('x-davy-cause: upstream-reset');
    expect(text).toContain('has not worked on the request');
    expect(server.connections).toHaveLength(2);
    expect(outcomesOf(gateway)).toMatchObject({ requests: 1, resets: 1 });
  });
});

describe('an instance that refuses a stream', () => {
  const refuse = (end: FrameEnd, stream: number) => end.send(reset(stream, CODES.refusedStream));

  it('has not worked on it: another instance gets it, whatever it asks for', async () => {
    const busy = await startFrameServer((end, { type, stream }) => {
      if (type === HEADERS) refuse(end, stream);
    });
    open.push(() => busy.close());
    const idle = await instance([]);
    const stable = [busy as unknown as TestUpstream, idle as unknown as TestUpstream];
    const retries = { maxTries: 3, perTryMs: 60_000, budgetShare: 1 };
    const gateway = await gatewayTo(busy, { stable, route: { protocol: 'h2c', timeoutMs: 60_000, retries } });
    for (let i = 0; i < 4; i++) expect(statusOf(await gateway.exchange(POST))).toBe(200);
    expect(busy.connections[0]!.frames.some(({ type }) => type === HEADERS)).toBe(true);
    expect(idle.connections[0]!.frames.filter(({ type }) => type === HEADERS)).toHaveLength(4);
  });

  it('is charged with it where no try is left', async () => {
    const server = await instance([refuse]);
    const gateway = await gatewayTo(server);
    expect(statusOf(await gateway.exchange(POST))).toBe(502);
    expect(server.connections).toHaveLength(1);
    expect(outcomesOf(gateway)).toMatchObject({ requests: 1, resets: 1 });
  });

  it('after an interim answer has begun to work on it: it is not sent again', async () => {
    const server = await instance([
      (end, stream) => {
        end.send(frame(HEADERS, END_HEADERS, stream, block([[':status', '103']])));
        refuse(end, stream);
      },
    ]);
    const retries = { maxTries: 3, perTryMs: 60_000, budgetShare: 1 };
    const gateway = await gatewayTo(server, { route: { protocol: 'h2c', retries } });
    expect(await gateway.exchange(POST)).toMatch(/HTTP\/1\.1 502 /);
    expect(server.connections[0]!.frames.filter(({ type }) => type === HEADERS)).toHaveLength(1);
  });

  it('of which more was sent than is kept is not sent again', async () => {
    const server = await startH2cUpstream((stream) => {
      let length = 0;
      stream.on('data', (piece: Buffer) => {
        length += piece.length;
        if (length > 200_000) stream.close(CODES.refusedStream);
      });
    });
    open.push(() => server.close());
    const retries = { maxTries: 3, perTryMs: 60_000, budgetShare: 1 };
    const gateway = await gatewayTo(server, { route: { protocol: 'h2c', retries } });
    const body = 'x'.repeat(1_000_000);
    const head = `POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`;
    expect(await gateway.exchange(head + body)).toMatch(/HTTP\/1\.1 502 /);
    expect(server.heads).toHaveLength(1);
  });
});

describe('a connection that was in use and closes without GOAWAY', () => {
  it.each([
    ['is repeated once when that is safe', get(), 200, 0],
    ['is not when it is not', POST, 502, 1],
  ])('a request on it %s', async (_what, request, status, resets) => {
    let closeNext = false;
    const server = await instance([
      (end, stream) => {
        if (closeNext) end.socket.destroy();
        else end.send(...answer(stream, 'answer 0'));
      },
    ]);
    const gateway = await gatewayTo(server);
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
    closeNext = true;
    expect(statusOf(await gateway.exchange(request))).toBe(status);
    await until(() => outcomesOf(gateway).requests === 2);
    expect(outcomesOf(gateway)).toMatchObject({ resets });
  });
});

describe('a copy for the mirror', () => {
  it.each([
    ['to an instance that leaves', (end: FrameEnd) => end.send(goaway(0))],
    ['to an instance that closed a connection in use', (end: FrameEnd) => end.socket.destroy()],
  ])('%s is sent once more', async (_what, leave) => {
    const stable = await instance([]);
    let leaves = false;
    const shadow = await instance([
      (end, stream) => {
        if (leaves) leave(end);
        else end.send(...answer(stream, 'answer 0'));
      },
    ]);
    const mirror = { version: 'v2', share: 1, maxConcurrent: 4 };
    const canary = [shadow as unknown as TestUpstream];
    const gateway = await gatewayTo(stable, {
      canary,
      canaryRoute: { weightBp: 0 },
      route: { protocol: 'h2c', mirror },
    });
    await gateway.exchange(get('/1'));
    await until(() => shadow.connections[0]?.isOver(1) === true);
    leaves = true;
    await gateway.exchange(get('/2'));
    await until(() => shadow.connections[1]?.isOver(1) === true);
    expect(gateway.engine.reports()[0]!.extras).toMatchObject({ mirrored_total: 2, mirror_failed_total: 0 });
  });
});

describe('a rolling restart of a gRPC server', () => {
  it('loses no call of a real client: each server drains with GOAWAY', async () => {
    const raw = (message: Buffer) => message;
    const how = {
      ...{ requestStream: false, responseStream: false, requestSerialize: raw, requestDeserialize: raw },
      ...{ responseSerialize: raw, responseDeserialize: raw },
    };
    const start = async (name: string) => {
      const server = new grpc.Server();
      server.addService(
        { call: { path: '/t.T/Call', ...how } },
        {
          call: (_: unknown, callback: grpc.sendUnaryData<Buffer>) =>
            setTimeout(() => callback(null, Buffer.from(name)), 5),
        },
      );
      const port = await new Promise<number>((resolve, reject) =>
        server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
          error ? reject(error) : resolve(bound),
        ),
      );
      open.push(() => server.forceShutdown());
      return { port, server };
    };
    let instances = [await start('0'), await start('1')];
    const parts = (): RouteParts => ({
      stable: instances as unknown as TestUpstream[],
      route: { protocol: 'grpc', retries: { maxTries: 3, perTryMs: 60_000, budgetShare: 1 } },
    });
    const gateway = await startGateway(parts());
    open.push(() => gateway.close());
    const client = new grpc.Client(`127.0.0.1:${gateway.port}`, grpc.credentials.createInsecure());
    open.push(() => client.close());
    const answers: string[] = [];
    const answered = new Array<number>(8).fill(0);
    let stop = false;
    const call = () =>
      new Promise<string>((resolve) =>
        client.makeUnaryRequest('/t.T/Call', raw, raw, Buffer.from('?'), (error, value) =>
          resolve(error === null ? String(value) : `${error.code} ${error.details}`),
        ),
      );
    const drivers = answered.map(async (_, i) => {
      while (!stop) {
        answers.push(await call());
        answered[i]!++;
      }
    });
    /** Every caller has had answers to calls that begin now. */
    const more = async () => {
      const enough = answered.map((count) => count + 3);
      await until(() => answered.every((count, i) => count >= enough[i]!));
    };
    for (let i = 2; i < 6; i++) {
      const leaving = instances[0]!;
      const fresh = await start(String(i));
      // The server leaves before the table follows: calls still go to it.
      const shut = new Promise<void>((resolve) => leaving.server.tryShutdown(() => resolve()));
      await more();
      instances = [instances[1]!, fresh];
      await gateway.apply(parts());
      await shut;
      // What began under the table before may still need the instance that leaves next.
      await more();
    }
    stop = true;
    await Promise.all(drivers);
    expect(answers.filter((text) => !/^\d$/.test(text))).toEqual([]);
    expect(new Set(answers).size).toBeGreaterThan(3);
  });
});

/** What the gateway does by limits and for wants of its own: a cause and a flag of its own, and no version is charged. */
import { describe, expect, it } from 'vitest';
import { FLAG_RADIX, FLAGS } from '../stats/flags.ts';
import { answering, connectRaw, get, type Script, type TestGateway } from '../testing/harness.ts';
import { openedForTest } from '../testing/opened.ts';

const { upstream, gatewayTo } = openedForTest();

const retries = { maxTries: 3, perTryMs: 5_000, budgetShare: 1 };
const ejection = { consecutive5xx: 1, forMs: 60_000 };
const charge = { requests: 0, timeouts: 0, resets: 0, status5xx: 0 };

const service = (gateway: TestGateway) => gateway.engine.counters().services[0]!;

/** What every instance was charged with, all together. */
function charged(gateway: TestGateway, view: 'firstTry' | 'outcome' = 'firstTry') {
  const sum = { timeouts: 0, resets: 0, status5xx: 0 };
  for (const instance of service(gateway).instances) {
    sum.timeouts += instance[view].timeouts;
    sum.resets += instance[view].resets;
    sum.status5xx += instance[view].status5xx;
  }
  return sum;
}

const nothing = { timeouts: 0, resets: 0, status5xx: 0 };
const ejected = (gateway: TestGateway) => gateway.engine.reports()[0]!.endpoints.map((one) => one.ejected);

/** Status and flag of what stands in the exposition under the version's instances. */
const codes = (gateway: TestGateway) =>
  gateway.engine
    .reports()[0]!
    .instances.flatMap((one) => one.codes.map(([key]) => `${Math.floor(key / FLAG_RADIX)} ${FLAGS[key % FLAG_RADIX]}`));

/** Status and flag of the gateway's own answers. */
const ownCodes = (gateway: TestGateway) =>
  gateway.engine.reports()[0]!.ownCodes.map(([key]) => {
    const [status, flag] = key.split(' ');
    return `${status} ${FLAGS[Number(flag)]}`;
  });

describe('an answer beyond what the gateway takes', () => {
  const ok = (lines: string, body = '') => `HTTP/1.1 200 OK\r\n${lines}\r\n${body}`;
  const chunked = 'Transfer-Encoding: chunked\r\n';

  it.each([
    ['more than 100 header lines', ok(`${'A: b\r\n'.repeat(101)}Content-Length: 0\r\n`)],
    ['a head of more than 32 KB', ok(`A: ${'b'.repeat(33_000)}\r\nContent-Length: 0\r\n`)],
    ['more than 10 interim answers', `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(11)}${ok('Content-Length: 0\r\n')}`],
  ])('%s: 502 with its own cause, asked once, nobody ejected or charged', async (_what, answer) => {
    const [one, two] = [await upstream(answering(answer)), await upstream(answering(answer))];
    const gateway = await gatewayTo({ stable: [one, two], route: { retries, ejection } });
    const text = await gateway.exchange(get());
    expect(text).toMatch(/HTTP\/1\.1 502 Bad Gateway\r\n.*x-davy-cause: answer-limit\r\n/s);
    expect(one.connections.length + two.connections.length).toBe(1);
    expect(charged(gateway)).toEqual(nothing);
    expect(ejected(gateway)).toEqual([0, 0]);
    expect(service(gateway).own.answerLimit).toBe(1);
    expect([codes(gateway), ownCodes(gateway)]).toEqual([[], ['502 GL']]);
  });

  it.each([
    ['a chunk extension of more than 1 KB', ok(chunked, `1;${'e'.repeat(2_000)}\r\nx\r\n0\r\n\r\n`)],
    ['trailers of more than 8 KB', ok(chunked, `1\r\nx\r\n0\r\nA: ${'t'.repeat(9_000)}\r\n\r\n`)],
    ['a chunk size of more than 13 digits', ok(chunked, `${'0'.repeat(20)}1\r\nx\r\n0\r\n\r\n`)],
  ])('%s: cut, flagged GL, nobody charged', async (_what, answer) => {
    const gateway = await gatewayTo({ stable: [await upstream(answering(answer))], route: { ejection } });
    expect(await gateway.exchange(get())).not.toMatch(/0\r\n\r\n$/);
    expect(charged(gateway)).toEqual(nothing);
    expect(codes(gateway)).toEqual(['200 GL']);
  });

  it('counts as no evidence: neither as a failure nor as a request that went well', async () => {
    const gateway = await gatewayTo({ stable: [await upstream(answering(ok('A: b\r\n'.repeat(101))))] });
    await gateway.exchange(get());
    expect(service(gateway).instances[0]!.firstTry).toMatchObject({ ...charge, requests: 1, unjudged: 1 });
  });

  it('is malformed, and charged, where it is also wrong', async () => {
    const wrong = ok(chunked, 'no size\r\n');
    const gateway = await gatewayTo({ stable: [await upstream(answering(wrong))] });
    await gateway.exchange(get());
    expect(charged(gateway)).toEqual({ ...nothing, resets: 1 });
  });
});

describe('a kept connection that its server closes', () => {
  const request = (method: string, lines = '') =>
    `${method} / HTTP/1.1\r\nHost: svc\r\nContent-Length: 0\r\n${lines}\r\n`;

  /** Answers the first request of each connection, and closes on the second one. */
  const closesOnSecond: Script = (connection) => {
    const { received, socket } = connection;
    const requests = received.split('\r\n\r\n').length - 1;
    if (requests > connection.answers && connection.answers === 0) {
      connection.answers = 1;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    } else if (requests > 1) socket.destroy();
  };

  it.each(['POST', 'PATCH', 'DELETE', 'GET'])(
    'before a %s is sent: it goes out on a fresh one, once',
    async (method) => {
      const one = await upstream();
      const gateway = await gatewayTo({ stable: [one], route: { ejection } });
      const client = connectRaw(gateway.port);
      client.send(request('GET'));
      await client.until(/ok$/);
      // In one turn: the request is read first, and the end of the connection stands behind it.
      client.send(request(method, 'Connection: close\r\n'));
      one.connections[0]!.socket.destroy();
      expect(await client.closed()).toMatch(/ok.*200 OK.*ok$/s);
      const counts = one.connections.map(({ received }) => received.split(`${method} / HTTP`).length - 1);
      expect(counts).toEqual(method === 'GET' ? [1, 1] : [0, 1]);
      expect(charged(gateway)).toEqual(nothing);
    },
  );

  it('as a request arrives that may be repeated: repeated, nobody charged', async () => {
    const one = await upstream(closesOnSecond);
    const gateway = await gatewayTo({ stable: [one] });
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const client = connectRaw(gateway.port);
      client.send(request('GET') + request(method, 'Connection: close\r\n'));
      expect((await client.closed()).match(/200 OK/g)).toHaveLength(2);
    }
    expect(charged(gateway)).toEqual(nothing);
  });

  it('as a POST arrives: 502 with its own cause, nobody charged or ejected, and not sent twice', async () => {
    const one = await upstream(closesOnSecond);
    const gateway = await gatewayTo({ stable: [one, await upstream(closesOnSecond)], route: { ejection, retries } });
    const client = connectRaw(gateway.port);
    client.send(request('GET') + request('GET'));
    await client.until(/ok.*ok$/s);
    client.send(request('POST'));
    expect(await client.until(/detail/)).toMatch(/502 Bad Gateway.*x-davy-cause: connection-closed\r\n/s);
    expect(charged(gateway)).toEqual(nothing);
    expect(ejected(gateway)).toEqual([0, 0]);
    expect(service(gateway).own.connectionClosed).toBe(1);
    expect(ownCodes(gateway)).toEqual(['502 PC']);
    client.socket.destroy();
  });

  it('an instance that closes on every POST is charged from the second one on', async () => {
    const one = await upstream();
    const gateway = await gatewayTo({ stable: [one], route: { ejection } });
    const closing: Script = (connection) =>
      connection.received.includes('POST') ? connection.socket.destroy() : answering()(connection);
    one.script = closing;
    for (let i = 0; i < 3; i++) {
      await gateway.exchange(request('GET', 'Connection: close\r\n'));
      await gateway.exchange(request('POST', 'Connection: close\r\n'));
    }
    expect(charged(gateway)).toEqual({ ...nothing, resets: 2 });
    expect(service(gateway).own.connectionClosed).toBe(1);
  });
});

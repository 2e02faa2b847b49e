/** Where nothing moves for as long as the gateway keeps anything: it is its own limit that ends it. The times are shorter here. */
import { describe, expect, it, vi } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import { FLAG_RADIX, FLAGS } from '../stats/flags.ts';
import { connectRaw, get, type TestGateway } from '../testing/harness.ts';
import { openedForTest } from '../testing/opened.ts';

vi.mock('../limits.ts', async (original) => {
  const { limits } = (await original()) as typeof import('../limits.ts');
  return { limits: { ...limits, answerIdleMs: 150, bodyIdleMs: 500 } };
});

const { upstream, gatewayTo } = openedForTest();
const ejection = { consecutive5xx: 1, forMs: 60_000 };
const nothing = { timeouts: 0, resets: 0, status5xx: 0 };

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

const ejected = (gateway: TestGateway) => gateway.engine.reports()[0]!.endpoints.map((one) => one.ejected);

/** Status and flag of what stands in the exposition under the version's instances. */
const codes = (gateway: TestGateway) =>
  gateway.engine
    .reports()[0]!
    .instances.flatMap((one) => one.codes.map(([key]) => `${Math.floor(key / FLAG_RADIX)} ${FLAGS[key % FLAG_RADIX]}`));

describe('a stream in which nothing moves', () => {
  it.each([
    ['of events', 'Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n', '7\r\ndata:\n\n\r\n'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n', '1\r\nx\r\n'],
    ['to the end of its connection', '', 'x'],
  ])(
    '%s: cut after the time that the gateway keeps it, flagged SI, with the status that the client saw',
    async (_what, lines, first) => {
      const one = await upstream(({ socket }) => socket.write(`HTTP/1.1 200 OK\r\n${lines}\r\n${first}`));
      const gateway = await gatewayTo({ stable: [one, await upstream()], route: { ejection, timeoutMs: 1_500 } });
      const answers = await Promise.all([gateway.exchange(get()), gateway.exchange(get())]);
      expect(answers.filter((text) => text.includes('200 OK'))).toHaveLength(2);
      expect([charged(gateway), charged(gateway, 'outcome')]).toEqual([nothing, nothing]);
      expect(ejected(gateway)).toEqual([0, 0]);
      expect(codes(gateway).toSorted()).toEqual(['200 -', '200 SI']);
    },
  );

  it('is late, and charged, where the answer has told its length', async () => {
    const one = await upstream(({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx'));
    const gateway = await gatewayTo({ stable: [one], route: { timeoutMs: 1_500 } });
    await gateway.exchange(get());
    expect(charged(gateway)).toEqual({ ...nothing, timeouts: 1 });
    expect(codes(gateway)).toEqual(['0 UT']);
  });
});

describe('an upload that the instance takes slowly', () => {
  it('has the time of the route, also where the gateway keeps a silent upload for less', async () => {
    const one = await upstream(() => {});
    const gateway = await gatewayTo({ stable: [one], route: { timeoutMs: 10_000 } });
    const client = connectRaw(gateway.port);
    const size = 16 * 1024 * 1024;
    client.send(`POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`);
    await until(() => one.connections.length === 1);
    one.connections[0]!.socket.pause();
    client.socket.write(Buffer.alloc(size));
    // Longer than the 500 ms after which an upload that the client leaves unfinished is ended.
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    one.script = (connection) => {
      if (connection.received.length > size) connection.socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    };
    one.connections[0]!.socket.resume();
    expect(await client.closed()).toMatch(/200 OK.*ok$/s);
    expect(charged(gateway)).toEqual(nothing);
  });
});

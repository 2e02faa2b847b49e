import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import { Head, parseResponseHead } from '../http1/head.ts';
import {
  answering,
  connectRaw,
  get,
  type Script,
  startUpstream,
  statusOf,
  type TestUpstream,
} from '../testing/harness.ts';
import { openedForTest } from '../testing/opened.ts';
import { retryAfterMs } from './retry.ts';

const { upstream, gatewayTo } = openedForTest();

const failing = (status: number) => answering(`HTTP/1.1 ${status} X\r\nContent-Length: 2\r\n\r\nno`);
const dying: Script = ({ socket }) => socket.destroy();
const silent: Script = () => {};
const retries = { maxTries: 3, perTryMs: 400, budgetShare: 0.2 };
const tries = (...upstreams: TestUpstream[]) =>
  upstreams.reduce(
    (sum, { connections }) =>
      sum + connections.reduce((n, { received }) => n + (received.match(/HTTP\/1\.1\r\n/g)?.length ?? 0), 0),
    0,
  );

describe('retries', () => {
  it.each([
    ['503', failing(503)],
    ['502', failing(502)],
    ['504', failing(504)],
    ['a reset', dying],
    ['silence', silent],
  ])(
    'repeats a GET on another instance after %s, within the arm, and counts the first try as it was',
    async (_what, script) => {
      const bad = await upstream(script);
      const good = await upstream();
      const gateway = await gatewayTo({ stable: [bad, good], route: { retries } });
      const answers = [await gateway.exchange(get()), await gateway.exchange(get())];
      expect(answers.map(statusOf)).toEqual([200, 200]);
      const counters = gateway.engine.counters().services[0]!.instances.filter(({ cohort }) => cohort === 'weight');
      const first = counters.map(({ firstTry }) => firstTry.status2xx).reduce((a, b) => a + b);
      expect(first).toBe(1);
      expect(counters[0]!.firstTry).toMatchObject({ requests: 1, status2xx: 0 });
      expect(counters[1]!.outcome).toMatchObject({ requests: 2, status2xx: 2 });
    },
  );

  it.each([
    ['POST', '', 1],
    ['PATCH', '', 1],
    ['PUT', '', 1],
    ['POST', 'Idempotency-Key: 7\r\n', 3],
    ['GET', '', 3],
    ['HEAD', '', 3],
    ['OPTIONS', '', 3],
  ])('%s %s is tried %i times at 503', async (method, lines, expected) => {
    const bad = await upstream(failing(503));
    const gateway = await gatewayTo({ stable: [bad], route: { retries } });
    expect(
      statusOf(
        await gateway.exchange(
          `${method} / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: 0\r\n${lines}\r\n`,
        ),
      ),
    ).toBe(503);
    expect(tries(bad)).toBe(expected);
  });

  it.each(['120', '1'])(
    'does not wait for Retry-After: %s of one instance where a sibling can be asked',
    async (value) => {
      const busy = await upstream(answering(`HTTP/1.1 503 X\r\nRetry-After: ${value}\r\nContent-Length: 2\r\n\r\nno`));
      const gateway = await gatewayTo({
        stable: [busy, await upstream(), await upstream()],
        route: { retries, timeoutMs: 900 },
      });
      // The time of the route does not allow a wait of a second, so whoever waited would have passed the 503 on.
      for (let i = 0; i < 6; i++) expect(statusOf(await gateway.exchange(get()))).toBe(200);
      expect(tries(busy)).toBeGreaterThan(0);
    },
  );

  it('waits as long as Retry-After says, when the time of the route allows it, and answers at once when not', async () => {
    const bad = await upstream();
    const times: number[] = [];
    const busyWith = (value: string) => {
      times.length = 0;
      bad.script = (connection) => {
        times.push(performance.now());
        const busy = times.length === 1;
        const status = busy ? `503 Busy\r\nRetry-After: ${value}` : '200 OK';
        connection.socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
        connection.socket.end();
      };
    };
    const gateway = await gatewayTo({ stable: [bad], route: { retries, timeoutMs: 3000 } });
    busyWith('1');
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(999);
    busyWith('60');
    expect(await gateway.exchange(get())).toMatch(/^HTTP\/1\.1 503 .*Retry-After: 60\r\n/s);
    expect(times).toHaveLength(1);
  });

  it.each([
    ['5', 5000],
    ['0', 0],
    ['999999', 300_000],
    ['Sat, 21 Nov 2026 08:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 07:00:00 GMT', 0],
    ['Sat, 21 Nov 2099 07:00:00 GMT', 300_000],
    ['2026-11-21T08:00:30Z', 0],
    ['-5', 0],
    ['5.5', 0],
    ['soon', 0],
  ])('reads Retry-After: %s as %i ms', (value, expected) => {
    const octets = Buffer.from(`HTTP/1.1 503 X\r\nRetry-After: ${value}\r\n\r\n`);
    const head = new Head();
    parseResponseHead(head, octets, 0, octets.length);
    expect(retryAfterMs(head, octets, Date.UTC(2026, 10, 21, 8))).toBe(expected);
  });

  it('does not repeat a 500, and repeats nothing without a policy', async () => {
    const bad = await upstream(failing(500));
    const gateway = await gatewayTo({ stable: [bad], route: { retries } });
    await gateway.exchange(get());
    await gateway.apply({ stable: [bad] });
    bad.script = failing(503);
    await gateway.exchange(get());
    expect(tries(bad)).toBe(2);
  });

  it('repeats any method when the connection was refused, since nothing was sent', async () => {
    const gone = await startUpstream();
    await gone.close();
    const good = await upstream();
    const gateway = await gatewayTo({ stable: [gone, good], route: { retries } });
    for (let i = 0; i < 4; i++) {
      expect(
        statusOf(
          await gateway.exchange('POST / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi'),
        ),
      ).toBe(200);
    }
    expect(good.received().match(/hi/g)).toHaveLength(4);
  });

  it('says 502 with its cause when every instance refuses', async () => {
    const gone = await startUpstream();
    await gone.close();
    const gateway = await gatewayTo({ stable: [gone], route: { retries } });
    expect(await gateway.exchange(get())).toMatch(/^HTTP\/1\.1 502 .*x-davy-cause: connect-failure/s);
    const counters = gateway.engine.counters().services[0]!;
    expect(counters.instances[0]!.outcome).toMatchObject({ requests: 1, resets: 1 });
    expect(counters.own).toMatchObject({ noUpstream: 0 });
  });

  it('keeps the whole request within the route timeout, tries and waits included', async () => {
    const bad = await upstream(silent);
    const gateway = await gatewayTo({
      stable: [bad],
      route: { retries: { ...retries, perTryMs: 80 }, timeoutMs: 120 },
    });
    const answer = await gateway.exchange(get());
    expect(answer).toMatch(/^HTTP\/1\.1 504 .*x-davy-cause: upstream-timeout/s);
    expect(tries(bad)).toBeLessThanOrEqual(2);
    expect(gateway.engine.counters().services[0]!.instances[0]!.outcome).toMatchObject({ requests: 1, timeouts: 1 });
  });

  it('does not storm: with everything at 503 the retries stay within the budget', async () => {
    const held: (() => void)[] = [];
    const bad = await upstream((connection) => held.push(() => failing(503)(connection)));
    const answerHeld = (): void => {
      for (const answer of held.splice(0)) answer();
    };
    const gateway = await gatewayTo({ stable: [bad], route: { retries: { ...retries, perTryMs: 15_000 } } });
    let answered = 0;
    const ask = async (): Promise<number> => {
      const status = statusOf(await gateway.exchange(get()));
      answered++;
      return status;
    };
    const asked = Promise.all(Array.from({ length: 100 }, ask));
    await until(() => held.length === 100);
    answerHeld();
    // Of 100 active requests 20 are tried again; the others are told at once.
    await until(() => held.length === 20 && answered === 80);
    bad.script = failing(503);
    answerHeld();
    expect(new Set(await asked)).toEqual(new Set([503]));
    // Each of the 20 might have made one more try; the budget of 20 active requests is four.
    expect(tries(bad)).toBeLessThanOrEqual(100 + 20 + 20);
  });

  it('repeats once on a fresh connection when an idle one was closed under it, and blames nobody', async () => {
    const upstreamOne = await upstream((connection) => {
      answering()(connection);
      if (connection.received.includes('/last')) connection.socket.destroy();
    });
    const gateway = await gatewayTo({ stable: [upstreamOne] });
    await gateway.exchange(get('/first'));
    upstreamOne.script = (connection) => {
      // The old connection breaks as the next request arrives; a new one works.
      if (connection === upstreamOne.connections[0]) connection.socket.destroy();
      else answering()(connection);
    };
    expect(statusOf(await gateway.exchange(get('/again')))).toBe(200);
    expect(gateway.engine.counters().services[0]!.instances[0]!.outcome).toMatchObject({
      requests: 2,
      status2xx: 2,
      resets: 0,
    });
  });
});

describe('ejection', () => {
  const ejection = { consecutive5xx: 5, forMs: 60_000 };
  it('takes the failing one of three out after its fifth failure in a row', async () => {
    const bad = await upstream(failing(500));
    const good = [await upstream(), await upstream()];
    const gateway = await gatewayTo({ stable: [bad, ...good], route: { ejection } });
    for (let i = 0; i < 60; i++) await gateway.exchange(get());
    expect(tries(bad)).toBe(5);
    expect(tries(...good)).toBe(55);
  });

  it('never takes out the last one', async () => {
    const bad = [await upstream(failing(500)), await upstream(failing(500))];
    const gateway = await gatewayTo({ stable: bad, route: { ejection } });
    for (let i = 0; i < 30; i++) expect(statusOf(await gateway.exchange(get()))).toBe(500);
    expect(tries(...bad)).toBe(30);
  });

  it('starts again after a success', async () => {
    const sometimes = await upstream(
      answering((index) => `HTTP/1.1 ${index % 5 === 4 ? 200 : 500} X\r\nContent-Length: 0\r\n\r\n`),
    );
    const good = await upstream();
    const gateway = await gatewayTo({ stable: [sometimes, good], route: { ejection } });
    for (let i = 0; i < 40; i++) await gateway.exchange(get());
    expect(tries(sometimes)).toBe(20);
  });
});

describe('the limiter', () => {
  it('L02: refuses with Retry-After, the RateLimit fields and a problem, and charges no version', async () => {
    const good = await upstream();
    const gateway = await gatewayTo({ stable: [good], route: { rateLimit: { perSecond: 0.01, burst: 3 } } });
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await gateway.exchange(get()));
    expect(answers.map(statusOf)).toEqual([200, 200, 200, 429, 429]);
    expect(answers[0]).toMatch(
      /RateLimit-Policy: "default";q=3;w=300\r\nRateLimit: "default";r=2;t=\d+\r\nx-ratelimit-limit: 3\r\n/,
    );
    // The fields say what the bucket holds.
    expect(answers.map((answer) => /RateLimit: "default";r=(\d+)/.exec(answer)?.[1])).toEqual([
      '2',
      '1',
      '0',
      '0',
      '0',
    ]);
    expect(answers[4]).toMatch(/Retry-After: \d+\r\n/);
    expect(answers[4]).toMatch(/Content-Type: application\/problem\+json.*x-davy-cause: limiter.*quota-exceeded/s);
    const counters = gateway.engine.counters().services[0]!;
    expect(counters.own.limiter).toBe(2);
    expect(counters.instances.reduce((sum, { outcome }) => sum + outcome.requests, 0)).toBe(3);
  });
});

describe('the split', () => {
  it('sends its share to the canary by weight, header users to it always, and keeps the two apart', async () => {
    const stable = await upstream();
    const canary = await upstream();
    const gateway = await gatewayTo({ stable: [stable], canary: [canary], canaryRoute: { weightBp: 1000 } });
    const client = connectRaw(gateway.port);
    for (let i = 0; i < 1000; i++) client.send('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    client.send(get());
    await client.closed();
    for (let i = 0; i < 7; i++) await gateway.exchange(get('/', 'X-Canary: TRUE\r\n'));
    await gateway.exchange(get('/', 'x-canary: false\r\n'));
    await gateway.exchange(get('/', 'x-canary: true, true\r\n'));
    await gateway.exchange(get('/', 'x-canary: true\r\nx-canary: true\r\n'));
    const counts = (version: string, cohort: string) =>
      gateway.engine.counters().services[0]!.instances.find((one) => one.version === version && one.cohort === cohort)!
        .outcome.requests;
    expect(Math.abs(counts('v2', 'weight') - 100.4)).toBeLessThan(4);
    expect(counts('v2', 'header')).toBe(7);
    expect(counts('v1', 'header')).toBe(0);
    const exposure = gateway.engine.state().services[0]!.exposure!;
    expect(exposure.requests).toBe(counts('v2', 'weight') + 7);
    expect(exposure.failures).toBe(0);
  });

  it('stamps the canary failures', async () => {
    const stable = await upstream();
    const canary = await upstream(failing(500));
    const gateway = await gatewayTo({ stable: [stable], canary: [canary], canaryRoute: { weightBp: 10_000 } });
    expect(statusOf(await gateway.exchange(get()))).toBe(500);
    const exposure = gateway.engine.state().services[0]!.exposure!;
    expect(exposure).toMatchObject({ requests: 1, failures: 1, release: 'svc-1', version: 'v2' });
    expect(exposure.firstFailureAtMs).toBeGreaterThanOrEqual(exposure.firstRequestAtMs!);
  });

  it('lets stable serve the share of a canary without instances', async () => {
    const stable = await upstream();
    const gateway = await gatewayTo({ stable: [stable], canary: [], canaryRoute: { weightBp: 10_000 } });
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
  });

  it('goes back to stable when the lease ends, the header route too', async () => {
    const stable = await upstream(answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nv1'));
    const canary = await upstream(answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nv2'));
    const gateway = await gatewayTo({
      stable: [stable],
      canary: [canary],
      canaryRoute: { weightBp: 10_000, lease: { id: 'l', ttlMs: 1000 } },
    });
    expect(await gateway.exchange(get())).toMatch(/v2$/);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    expect(await gateway.exchange(get())).toMatch(/v1$/);
    expect(await gateway.exchange(get('/', 'x-canary: true\r\n'))).toMatch(/v1$/);
    expect(gateway.engine.state().services[0]).toMatchObject({ leaseExpired: true, effectiveWeightBp: 0 });
  });
});

describe('table swaps', () => {
  it('drop no request under load, while instances and ports change', async () => {
    const one = await upstream();
    const two = await upstream();
    const gateway = await gatewayTo({ stable: [one] });
    let stop = false;
    const statuses: number[] = [];
    const drive = async () => {
      while (!stop) statuses.push(statusOf(await gateway.exchange(get())));
    };
    const drivers = [drive(), drive(), drive(), drive()];
    for (let i = 0; i < 60; i++) {
      await gateway.apply({ stable: i % 3 === 0 ? [two] : [one, two], route: { timeoutMs: 1000 + i } });
      await new Promise((resolve) => setImmediate(resolve));
    }
    stop = true;
    await Promise.all(drivers);
    expect(statuses.length).toBeGreaterThan(20);
    expect(statuses.every((status) => status === 200)).toBe(true);
  });

  it('drain answers what is in progress and then closes', async () => {
    const slow = await upstream((connection) => setTimeout(() => answering()(connection), 50));
    const gateway = await gatewayTo({ stable: [slow] });
    const idle = connectRaw(gateway.port);
    idle.send('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    await idle.until(/ok$/);
    const busy = connectRaw(gateway.port);
    busy.send('GET / HTTP/1.1\r\nHost: svc\r\n\r\n');
    while (tries(slow) < 2) await new Promise((resolve) => setImmediate(resolve));
    const drained = gateway.engine.drain(10_000);
    expect(await busy.closed()).toMatch(/200 OK.*Connection: close.*ok$/s);
    expect(await idle.closed()).toMatch(/ok$/);
    await drained;
  });
});

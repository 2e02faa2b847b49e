import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import {
  answering,
  connectRaw,
  get,
  type RouteParts,
  statusOf,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { openedForTest } from '../testing/opened.ts';

const { upstream, gatewayTo } = openedForTest();

const named = (name: string) => answering(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`);

const bodyOf = (answer: string) => answer.slice(answer.indexOf('\r\n\r\n') + 4);
const count = ({ connections }: TestUpstream) =>
  connections.reduce((sum, { received }) => sum + (received.match(/ HTTP\/1\.1\r\n/g)?.length ?? 0), 0);

describe('header rules', () => {
  it('go in order, with AND inside and OR between; a repeated or listed value matches nothing', async () => {
    const gateway = await gatewayTo({
      stable: [await upstream(named('v1'))],
      canary: [await upstream(named('v2'))],
      canaryRoute: { weightBp: 0 },
      route: {
        rules: [
          { when: [{ header: 'x-user', match: 'exact', value: 'boss' }], to: 'stable' },
          {
            when: [
              { header: 'x-user', match: 'prefix', value: 'b' },
              { header: 'x-beta', match: 'present', value: '' },
            ],
            to: 'canary',
          },
          {
            when: [
              { header: 'x-all', match: 'exact', value: '1' },
              { header: 'x-not', match: 'absent', value: '' },
            ],
            to: 'canary',
          },
        ],
      },
    });
    const table: [string, string][] = [
      ['', 'v1'],
      ['X-User: boss\r\nX-Beta: 1\r\n', 'v1'],
      ['X-User: bob\r\n', 'v1'],
      ['X-User: bob\r\nX-Beta: 1\r\n', 'v2'],
      ['X-User: bob, eve\r\nX-Beta: 1\r\n', 'v1'],
      ['X-User: bob\r\nX-User: bob\r\nX-Beta: 1\r\n', 'v1'],
      ['X-All: 1\r\n', 'v2'],
      ['X-All: 1\r\nX-Not: 0\r\n', 'v1'],
      ['X-Canary: true\r\n', 'v2'],
    ];
    for (const [lines, expected] of table)
      expect([lines, bodyOf(await gateway.exchange(get('/', lines)))]).toEqual([lines, expected]);
  });
});

describe('sticky clients', () => {
  const sticky = (epoch: number) => ({
    cookie: 'place',
    secret: Buffer.alloc(32, 7).toString('base64'),
    epoch,
    maxAgeS: 3600,
  });
  it('keep their place, move only as the weight says, and cannot forge it', async () => {
    const stable = await upstream(named('v1'));
    const canary = await upstream(named('v2'));
    const parts = (weightBp: number, epoch = 1) => ({
      stable: [stable],
      canary: [canary],
      canaryRoute: { weightBp },
      route: { sticky: sticky(epoch) },
    });
    const gateway = await gatewayTo(parts(3000));
    const cookies: string[] = [];
    const first: string[] = [];
    for (let i = 0; i < 40; i++) {
      const answer = await gateway.exchange(get());
      cookies.push(/Set-Cookie: (place=[^;]+); Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax\r\n/.exec(answer)![1]!);
      first.push(bodyOf(answer));
    }
    const again = async () =>
      Promise.all(
        cookies.map(async (cookie) => bodyOf(await gateway.exchange(get('/', `Cookie: a=b; ${cookie}\r\n`)))),
      );
    expect(await again()).toEqual(first);
    expect(first.filter((version) => version === 'v2').length).toBeGreaterThan(8);
    await gateway.apply(parts(6000));
    const raised = await again();
    raised.forEach((version, i) => {
      if (first[i] === 'v2') expect(version).toBe('v2');
    });
    expect(raised.filter((version) => version === 'v2').length).toBeGreaterThan(
      first.filter((version) => version === 'v2').length,
    );
    await gateway.apply(parts(0));
    expect(new Set(await again())).toEqual(new Set(['v1']));
    await gateway.apply(parts(10_000, 2));
    expect(await gateway.exchange(get('/', `Cookie: ${cookies[0]}\r\n`))).toContain('Set-Cookie: place=2.');
    expect(await gateway.exchange(get('/', 'Cookie: place=2.0.AAAAAAAAAAAAAAAAAAAAAA\r\n'))).toContain(
      'Set-Cookie: place=2.',
    );
  });
});

describe('a sticky client with several cookies of the name', () => {
  const settings = { cookie: 'place', secret: Buffer.alloc(32, 7).toString('base64'), epoch: 1, maxAgeS: 3600 };

  async function placed() {
    const parts = { stable: [await upstream(named('v1'))], canary: [await upstream(named('v2'))] };
    const gateway = await gatewayTo({ ...parts, canaryRoute: { weightBp: 5000 }, route: { sticky: settings } });
    const ask = (...cookies: string[]) =>
      gateway.exchange(get('/', cookies.map((one) => `Cookie: ${one}\r\n`).join('')));
    const newPlace = async () => /Set-Cookie: (place=[^;]+)/.exec(await ask())![1]!;
    return { ask, newPlace };
  }

  const forged = `place=1.5.${'A'.repeat(22)}`;
  it.each([
    ['stale ones first, in one field', (own: string) => [`place=0.5.${'A'.repeat(22)}; place=; place=nothing; ${own}`]],
    ['a forged one first', (own: string) => [`${forged}; ${own}`]],
    ['one in a field of its own, after another', (own: string) => [forged, own]],
    ['its own first', (own: string) => [`${own}; ${forged}`]],
  ])('keeps the place: %s', async (_what, cookiesOf) => {
    const { ask, newPlace } = await placed();
    for (let i = 0; i < 6; i++) {
      const own = await newPlace();
      const version = bodyOf(await ask(own));
      const answer = await ask(...cookiesOf(own));
      expect(answer).not.toContain('Set-Cookie');
      expect(bodyOf(answer)).toBe(version);
    }
  });

  it('gets a new place when none of the first sixteen is its own: what a client sends costs a bounded number of hashes', async () => {
    const { ask, newPlace } = await placed();
    const own = await newPlace();
    const many = (count: number) => Array.from({ length: count }, () => forged).join('; ');
    expect(await ask(`${many(15)}; ${own}`)).not.toContain('Set-Cookie');
    expect(await ask(`${many(16)}; ${own}`)).toContain('Set-Cookie: place=');
  });
});

describe('sticky clients, counted', () => {
  const sticky = { cookie: 'place', secret: null, epoch: 1, maxAgeS: 3600 };
  const clients = (gateway: TestGateway) => gateway.engine.counters().services[0]!.clients;

  it('are dealt once each, however much they ask, and anew for each request without a place', async () => {
    const parts = { stable: [await upstream()], canary: [await upstream()] };
    const gateway = await gatewayTo({ ...parts, canaryRoute: { weightBp: 10_000 }, route: { sticky } });
    expect(clients(gateway)).toEqual({ dealt: {}, diverted: 0 });
    const place = /Set-Cookie: (place=[^;]+)/.exec(await gateway.exchange(get()))![1]!;
    for (let i = 0; i < 5; i++) await gateway.exchange(get('/', `Cookie: ${place}\r\n`));
    expect(clients(gateway)).toEqual({ dealt: { v2: 1 }, diverted: 0 });
    await gateway.exchange(get());
    expect(clients(gateway)).toEqual({ dealt: { v2: 2 }, diverted: 0 });
  });

  it('whose version has no fit instance are seen to be served by stable', async () => {
    const canary = await upstream();
    const probe = { kind: 'http1' as const, path: '/q/health' };
    const healthCheck = { probe, everyMs: 20, timeoutMs: 500, unhealthyAfter: 1, healthyAfter: 1 };
    const parts = { stable: [await upstream()], canary: [canary], canaryRoute: { weightBp: 10_000 } };
    const gateway = await gatewayTo({ ...parts, route: { sticky, healthCheck } });
    const place = /Set-Cookie: (place=[^;]+)/.exec(await gateway.exchange(get()))![1]!;
    canary.script = answering('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n');
    await until(() => gateway.engine.reports()[0]!.endpoints[1]!.healthy === 0);
    for (let i = 0; i < 3; i++) expect(bodyOf(await gateway.exchange(get('/', `Cookie: ${place}\r\n`)))).toBe('ok');
    expect(clients(gateway)).toEqual({ dealt: { v2: 1 }, diverted: 3 });
  });

  it('are not counted where every request is dealt by itself', async () => {
    const gateway = await gatewayTo({ stable: [await upstream()], canary: [await upstream()] });
    await gateway.exchange(get());
    expect(clients(gateway)).toBeUndefined();
  });
});

describe('the mirror', () => {
  it('copies safe requests only, under a shadow Host, drops the answers and counts them for nobody', async () => {
    const shadow = await upstream(named('shadow'));
    const stable = await upstream(named('v1'));
    const gateway = await gatewayTo({
      stable: [stable],
      canary: [shadow],
      canaryRoute: { weightBp: 0 },
      route: { mirror: { version: 'v2', share: 1, maxConcurrent: 4 } },
    });
    for (let i = 0; i < 3; i++) expect(bodyOf(await gateway.exchange(get(`/${i}`)))).toBe('v1');
    await gateway.exchange('POST /no HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi');
    while (count(shadow) < 3) await new Promise((resolve) => setImmediate(resolve));
    expect(shadow.received()).toMatch(/Host: svc-shadow\r\n/);
    expect(shadow.received()).not.toContain('POST');
    const requests = gateway.engine
      .counters()
      .services[0]!.instances.filter(({ version }) => version === 'v2')
      .map(({ outcome }) => outcome.requests);
    expect(requests.every((n) => n === 0)).toBe(true);
  });

  it('never slows the primary when its target is dead or silent, and stays within its cap', async () => {
    const silent = await upstream(() => {});
    const stable = await upstream(named('v1'));
    const gateway = await gatewayTo({
      stable: [stable],
      canary: [silent],
      canaryRoute: { weightBp: 0 },
      route: { mirror: { version: 'v2', share: 1, maxConcurrent: 2 } },
    });
    for (let i = 0; i < 20; i++) expect(bodyOf(await gateway.exchange(get()))).toBe('v1');
    expect(silent.connections.length).toBeLessThanOrEqual(2);
  });
});

describe('locality', () => {
  it('prefers its own zone, and spills over when too little of it is fit', async () => {
    const near = [await upstream(), await upstream()];
    const far = [await upstream(), await upstream()];
    const gateway = await gatewayTo({ stable: [...near, ...far] });
    const zoned = (zone: string | null, ejection: RouteParts['route'] = {}) => {
      const instances = [...near, ...far].map(({ port }, i) => ({
        id: `svc/v1/${i}`,
        host: '127.0.0.1',
        port,
        zone: i < 2 ? 'a' : 'b',
      }));
      return gateway.apply({ stable: [], route: { zone, versions: [{ version: 'v1', instances }], ...ejection } });
    };
    await zoned('a', { ejection: { consecutive5xx: 1, forMs: 60_000 } });
    for (let i = 0; i < 20; i++) await gateway.exchange(get());
    expect(near.map(count).reduce((a, b) => a + b)).toBe(20);
    near[0]!.script = answering('HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n');
    for (let i = 0; i < 60; i++) await gateway.exchange(get());
    // One of two is out: 50 % × 1.4 = 70 % stay near, the rest is spread over everything that is fit.
    expect(far.map(count).reduce((a, b) => a + b)).toBeGreaterThan(2);
    expect(count(near[1]!)).toBeGreaterThan(20);
  });
});

describe('breaker and caps', () => {
  it('opens after failures in a row, lets one probe through, and closes on its success', async () => {
    const service = await upstream(answering('HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n'));
    const gateway = await gatewayTo({ stable: [service], route: { breaker: { consecutive5xx: 3, openMs: 1000 } } });
    for (let i = 0; i < 3; i++) expect(statusOf(await gateway.exchange(get()))).toBe(500);
    expect(await gateway.exchange(get())).toMatch(/^HTTP\/1\.1 503 .*x-davy-cause: breaker\r\n.*Retry-After: 1\r\n/s);
    expect(count(service)).toBe(3);
    await new Promise((resolve) => setTimeout(resolve, 1050));
    service.script = answering();
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
    expect(gateway.engine.counters().services[0]!.own.breaker).toBe(1);
  });

  it('sheds what is beyond maxRequests and maxConnections', async () => {
    const slow = await upstream((connection) => setTimeout(() => answering()(connection), 60));
    for (const caps of [{ maxRequests: 3 }, { maxConnections: 3 }]) {
      const gateway = await gatewayTo({ stable: [slow], route: { caps } });
      const statuses = (await Promise.all(Array.from({ length: 10 }, () => gateway.exchange(get())))).map(statusOf);
      expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
      expect(statuses.filter((status) => status === 503).length).toBeGreaterThan(0);
    }
  });

  it('sheds a request that would wait for a connection behind maxPending others', async () => {
    const gateway = await gatewayTo({ stable: [await upstream()], route: { caps: { maxPending: 3 } } });
    const { pending } = gateway.engine.states.get('svc')!.limits;
    for (let i = 0; i < 3; i++) expect(pending!.take(0)).toBe(true);
    expect(statusOf(await gateway.exchange(get()))).toBe(503);
    pending!.give();
    expect(statusOf(await gateway.exchange(get()))).toBe(200);
    // It has given its place back.
    expect([pending!.take(0), pending!.take(0)]).toEqual([true, false]);
  });

  it('only counts in shadow mode', async () => {
    const gateway = await gatewayTo({
      stable: [await upstream()],
      route: { rateLimit: { perSecond: 0.01, burst: 1 }, rateLimitMode: 'shadow' },
    });
    for (let i = 0; i < 4; i++) expect(statusOf(await gateway.exchange(get()))).toBe(200);
    expect(gateway.engine.states.get('svc')!.shadowLimited).toBe(3);
  });
});

describe('active health checks', () => {
  it('keep traffic from an instance that says it is unwell, until it is well again', async () => {
    const sick = await upstream((connection) =>
      answering(connection.received.includes('/q/health') ? 'HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n' : undefined)(
        connection,
      ),
    );
    const well = await upstream();
    const healthCheck = {
      probe: { kind: 'http1' as const, path: '/q/health' },
      everyMs: 20,
      timeoutMs: 500,
      unhealthyAfter: 2,
      healthyAfter: 2,
    };
    const gateway = await gatewayTo({ stable: [sick, well], route: { healthCheck } });
    const healthy = (n: number) =>
      [...gateway.engine.states.get('svc')!.allEndpoints()].filter((endpoint) => endpoint.healthy).length === n;
    while (!healthy(1)) await new Promise((resolve) => setTimeout(resolve, 5));
    const served = () => sick.connections.filter(({ received }) => received.startsWith('GET / ')).length;
    for (let i = 0; i < 6; i++) expect(statusOf(await gateway.exchange(get()))).toBe(200);
    expect(served()).toBe(0);
    sick.script = answering();
    while (!healthy(2)) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let i = 0; i < 6; i++) await gateway.exchange(get());
    expect(served()).toBeGreaterThan(0);
  });
});

describe('slow start', () => {
  it('gives a new instance its share step by step', async () => {
    const old = await upstream();
    const gateway = await gatewayTo({ stable: [old], route: { slowStartMs: 3_600_000 } });
    const fresh = await upstream();
    await gateway.apply({ stable: [old, fresh], route: { slowStartMs: 3_600_000 } });
    for (let i = 0; i < 200; i++) await gateway.exchange(get());
    // A tenth of its turns at the beginning of an hour: about 10 of its 100.
    expect(count(fresh)).toBeGreaterThan(0);
    expect(count(fresh)).toBeLessThan(40);
  });
});

describe('trusted proxies', () => {
  it.each([
    ['what it says about protocol and host stays, its lists grow', 'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: public\r\nForwarded: for=6.6.6.6;proto=https\r\n', ['x-forwarded-for: 6.6.6.6', 'x-forwarded-for: 127.0.0.1', 'x-forwarded-proto: https', 'x-forwarded-host: public', 'forwarded: for=6.6.6.6;proto=https', 'forwarded: for=127.0.0.1;proto=http']],
    ['what it does not say, the gateway does', '', ['x-forwarded-for: 127.0.0.1', 'x-forwarded-proto: http', 'x-forwarded-host: svc']],
  ])('of one: %s', async (_what, lines, expected) => {
    const service = await upstream();
    const gateway = await gatewayTo({ stable: [service], route: { trustedProxies: ['127.0.0.1'] } });
    await gateway.exchange(get('/', lines));
    const got = service.received().toLowerCase().split('\r\n').filter((line) => /^(x-)?forwarded/.test(line));
    expect(got.sort()).toEqual(expected.sort());
  }); // biome-ignore format: a table

  it('are believed and extended; others are not', async () => {
    const service = await upstream();
    const gateway = await gatewayTo({ stable: [service], route: { trustedProxies: ['127.0.0.0/8'] } });
    await gateway.exchange(
      get('/', 'X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Host: public\r\nForwarded: for=6.6.6.6\r\n'),
    );
    expect(service.received()).toMatch(
      /X-Forwarded-For: 6\.6\.6\.6\r\n.*Forwarded: for=6\.6\.6\.6\r\n.*X-Forwarded-For: 127\.0\.0\.1\r\n/s,
    );
    expect(service.received().match(/X-Forwarded-Host/g)).toHaveLength(1);
  });
});

describe('rolling restart', () => {
  it('of every instance, one after the other, fails no request', async () => {
    let instances = [await upstream(), await upstream(), await upstream()];
    const gateway = await gatewayTo({
      stable: instances,
      route: { retries: { maxTries: 3, perTryMs: 1000, budgetShare: 0.2 } },
    });
    let stop = false;
    const statuses: number[] = [];
    const drive = async () => {
      while (!stop) {
        const client = connectRaw(gateway.port);
        client.send(get());
        statuses.push(statusOf(await client.closed()));
      }
    };
    const drivers = [drive(), drive(), drive()];
    for (let i = 0; i < 3; i++) {
      const fresh = await upstream();
      const leaving = instances[0]!;
      instances = [...instances.slice(1), fresh];
      await gateway.apply({ stable: instances, route: { retries: { maxTries: 3, perTryMs: 1000, budgetShare: 0.2 } } });
      // Traffic on the new table, among it requests that began under the old one.
      const enough = statuses.length + 12;
      await until(() => statuses.length >= enough);
      await leaving.close();
    }
    stop = true;
    await Promise.all(drivers);
    expect(statuses.length).toBeGreaterThan(30);
    expect(statuses.filter((status) => status !== 200)).toEqual([]);
  });
});

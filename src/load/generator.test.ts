import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { testPort } from '../lib/test-port.fixture.ts';
import { runLoad } from './generator.ts';
import type { LoadPlan } from './plan.ts';
import { startLoad, steadyPlan } from './start-load.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

function uniform(url: string, count: number, more: Partial<LoadPlan> = {}): LoadPlan {
  // One request per 5 ms; half an interval more, so that the last one is inside.
  const stage = { fromPerSecond: 200, toPerSecond: 200, durationMs: count * 5 + 2 };
  const plan = steadyPlan({ url, ratePerSecond: 200 });
  return { ...plan, model: { kind: 'open', arrivals: 'uniform', stages: [stage] }, ...more };
}

test('every scheduled request is sent, with its headers, and counted by its answer', async () => {
  let canaries = 0;
  let seen = 0;
  const url = await serve((request, response) => {
    if (request.headers['x-canary'] === 'true') canaries++;
    response.writeHead(++seen % 10 === 0 ? 500 : 200).end('hello');
  });
  const plan = uniform(url, 100);
  plan.targets[0]!.headers = { 'x-canary': 'true' };
  const result = await runLoad(plan).done;
  expect([seen, canaries]).toEqual([100, 100]);
  expect(result.counts).toEqual({
    requests: 100,
    ok: 90,
    errors: { 'status-5xx': 10 },
    statuses: { '200': 90, '500': 10 },
  });
  expect(result.response.count).toBe(100);
  expect(result.dropped).toBe(0);
});

test('bodies are sent, answers are checked, targets are told apart', async () => {
  const bodies: string[] = [];
  const url = await serve((request, response) => {
    request.setEncoding('utf8').on('data', (text) => bodies.push(text));
    request.on('end', () => response.end(request.url === '/a' ? 'good' : 'bad'));
  });
  const base = {
    method: 'POST',
    headers: {},
    body: '{"n":1}',
    weight: 1,
    check: { statuses: null, bodyIncludes: 'good' },
  };
  const targets = ['a', 'b'].map((name) => ({ ...base, name, url: `${url}${name}` }));
  const result = await runLoad(uniform(url, 40, { targets })).done;
  expect(new Set(bodies)).toEqual(new Set(['{"n":1}']));
  const [a, b] = result.targets;
  expect(a!.requests + b!.requests).toBe(40);
  expect(a).toMatchObject({ name: 'a', ok: a!.requests, errors: {} });
  expect(b).toMatchObject({ name: 'b', ok: 0, errors: { check: b!.requests } });
});

test('a stall shows in every request that had to wait for it, as the schedule meant it', async () => {
  // The service answers nothing until request 100 has arrived at its socket or waits for a connection: with an open
  // model the requests scheduled meanwhile all count their waiting time.
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const url = await serve((_, response) => void released.then(() => response.end()));
  const run = runLoad(uniform(url, 100, { maxConnections: 2 }));
  const scheduled = async (): Promise<void> => {
    while (run.live().outstanding < 100) await new Promise((resolve) => setTimeout(resolve, 5));
  };
  await scheduled();
  release();
  const result = await run.done;
  expect(result.counts.ok).toBe(100);
  // The first was scheduled 495 ms before the last: whatever the machine's speed, it waited at least that long.
  expect(result.response.maxMs).toBeGreaterThanOrEqual(490);
  expect(result.response.quantiles.p50.ms!).toBeGreaterThanOrEqual(240);
  // The 98 that never got a connection during the stall were quick once sent: service time alone hides the stall.
  expect(result.service.quantiles.p50.ms).toBeLessThan(result.response.quantiles.p50.ms!);
  // The two connections were the generator's own limit, and it says so.
  expect(result.pool.count).toBe(98);
  expect(result.pool.maxMs).toBeGreaterThanOrEqual(470);
});

test('a service that never answers is a timeout, in flight or in line, counted at its time', async () => {
  const url = await serve(() => {});
  const result = await runLoad(uniform(url, 20, { maxConnections: 4, timeoutMs: 50 })).done;
  const { timeout = 0, pool = 0, ...others } = result.counts.errors;
  expect(result.counts).toMatchObject({ requests: 20, ok: 0 });
  expect([timeout + pool, others]).toEqual([20, {}]);
  expect(result.pool.count).toBeGreaterThanOrEqual(pool);
  // A histogram of three digits holds 50.00 ms in the bucket from 49.984 ms.
  expect(result.response.minMs).toBeGreaterThanOrEqual(49.95);
});

test('arrivals beyond the limit are dropped, counted, and spoil the run', async () => {
  const url = await serve(() => {});
  const result = await runLoad(uniform(url, 20, { maxOutstanding: 5, timeoutMs: 1_000 })).done;
  expect(result.dropped).toBe(15);
  expect(result.validity.verdict).toBe('INVALID');
  expect(result.validity.reasons.join()).toContain('dropped');
});

test('nothing listening, broken answers and resets are told apart', async () => {
  const port = await testPort();
  const dead = await runLoad(uniform(`http://127.0.0.1:${port}/`, 5)).done;
  expect(dead.counts.errors).toEqual({ refused: 5 });
  // A label of 64 octets is one too many (RFC 1035 section 2.3.4): nobody is asked about it.
  const nameless = await runLoad(uniform(`http://${'a'.repeat(64)}:${port}/`, 5, { timeoutMs: 60_000 })).done;
  expect(nameless.counts.errors).toEqual({ dns: 5 });
  for (const [bytes, error] of [
    ['SSH-2.0\r\n\r\n', 'bad-response'],
    ['', 'reset'],
  ] as const) {
    const server = createTcpServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(bytes)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    expect((await runLoad(uniform(url, 5)).done).counts.errors).toEqual({ [error]: 5 });
    server.close();
  }
});

test('a connection that the server closes when idle costs no error', async () => {
  let sockets = 0;
  const url = await serve((request, response) => {
    response.end('ok');
    // Closed without notice right after the answer.
    response.once('finish', () => request.socket.end());
  });
  servers[0]!.on('connection', () => sockets++);
  const result = await runLoad(uniform(url, 50)).done;
  expect(result.counts.ok).toBe(50);
  expect(sockets).toBeGreaterThan(1);
});

test('warm-up is sent but not counted', async () => {
  let seen = 0;
  const url = await serve((_, response) => {
    seen++;
    response.end();
  });
  const result = await runLoad(uniform(url, 40, { warmupMs: 102 })).done;
  expect(seen).toBe(40);
  expect(result.counts.requests).toBe(20);
});

test('the closed model keeps its connections busy until the end', async () => {
  const url = await serve((_, response) => response.end());
  const plan: LoadPlan = {
    ...steadyPlan({ url, ratePerSecond: 1 }),
    model: { kind: 'closed', connections: 4, durationMs: 200 },
  };
  const result = await runLoad(plan).done;
  expect(result.model).toBe('closed');
  expect(result.counts.ok).toBe(result.counts.requests);
  expect(result.counts.requests).toBeGreaterThan(4);
});

test('the process of its own reports live figures and stops when told', async () => {
  const url = await serve((_, response) => response.end());
  const seen = Promise.withResolvers<void>();
  const load = startLoad(steadyPlan({ url, ratePerSecond: 200 }), (live) => live.requests > 0 && seen.resolve());
  await seen.promise;
  expect(load.live()).toMatchObject({ errors: 0 });
  const result = await load.stop();
  expect(result.counts.ok).toBe(result.counts.requests);
  expect(result.counts.requests).toBeGreaterThan(0);
});

// A busy machine adds a cause of its own.
test('a run in which nobody answered is INVALID and has no latency', async () => {
  const result = await runLoad(uniform(`http://127.0.0.1:${await testPort()}/`, 20)).done;
  expect(result.validity).toMatchObject({
    ...{ verdict: 'INVALID', causes: expect.arrayContaining(['no-answer']) },
    reasons: expect.arrayContaining(['no request was answered (refused 20)']),
  });
  expect(result.response).toMatchObject({ count: 0, maxMs: null, quantiles: { p50: { ms: null } } });
  expect(result.counts.requests).toBe(20);
});

test('a request that was refused at once makes no latency shorter', async () => {
  const url = await serve((_, response) => void setTimeout(() => response.end(), 30));
  const base = { method: 'GET', headers: {}, body: null, weight: 1, check: null };
  const targets = [
    { ...base, name: 'slow', url },
    { ...base, name: 'dead', url: `http://127.0.0.1:${await testPort()}/` },
  ];
  const { response, counts } = await runLoad(uniform(url, 40, { targets })).done;
  expect(response.count).toBe(counts.ok);
  expect(response.minMs).toBeGreaterThanOrEqual(29);
});

const pem = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../gateway/testing/certificates', name), 'utf8');

async function serveTls(options: TlsOptions = {}): Promise<{ url: string; names: unknown[] }> {
  const names: unknown[] = [];
  const certificate = { cert: pem('one.pem'), key: pem('one.key'), ...options };
  const server = createTlsServer({ keepAliveTimeout: 60_000, ...certificate }, (request, response) => {
    names.push((request.socket as TLSSocket & { servername?: string }).servername);
    response.end('hello');
  });
  server.on('tlsClientError', () => {});
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`, names };
}

test('TLS: the certificate is checked, against the list and the name that were given', async () => {
  const { url, names } = await serveTls();
  const run = (tls: Partial<LoadPlan['tls']>) =>
    runLoad(uniform(url, 5, { tls: { ca: null, serverName: null, verify: true, ...tls } })).done;
  expect((await run({ ca: pem('ca.pem'), serverName: 'one.test' })).counts).toMatchObject({ ok: 5, errors: {} });
  expect(names).toEqual(new Array(5).fill('one.test'));
  expect((await run({ verify: false })).counts).toMatchObject({ ok: 5 });
  for (const tls of [{}, { ca: pem('ca.pem') }, { ca: pem('ca.pem'), serverName: 'two.test' }]) {
    expect((await run(tls)).counts.errors).toEqual({ tls: 5 });
  }
});

test('TLS: connections are kept, bodies are read, and a server without HTTP/1.1 is told by name', async () => {
  const tls = { ca: pem('ca.pem'), serverName: 'one.test', verify: true };
  const { url } = await serveTls();
  let connections = 0;
  servers[0]!.on('secureConnection', () => connections++);
  const target = {
    ...{ name: 'a', url, method: 'POST', headers: {}, body: '{}', weight: 1 },
    check: { statuses: [200], bodyIncludes: 'hello' },
  };
  const kept = await runLoad(uniform(url, 20, { tls, targets: [target], maxConnections: 1 })).done;
  expect([kept.counts.ok, connections]).toEqual([20, 1]);
  const only2 = createSecureServer({ cert: pem('one.pem'), key: pem('one.key'), ALPNProtocols: ['h2'] });
  only2.on('error', () => {}).on('tlsClientError', () => {});
  await new Promise<void>((resolve) => only2.listen(0, '127.0.0.1', resolve));
  const h2 = `https://127.0.0.1:${(only2.address() as AddressInfo).port}/`;
  expect((await runLoad(uniform(h2, 5, { tls })).done).counts.errors).toEqual({ tls: 5 });
  only2.close();
});

test('without keep-alive every request has a connection of its own', async () => {
  const seen: (string | undefined)[] = [];
  let sockets = 0;
  const url = await serve((request, response) => {
    seen.push(request.headers.connection);
    response.end('ok');
  });
  servers[0]!.on('connection', () => sockets++);
  const result = await runLoad(uniform(url, 20, { keepAlive: false })).done;
  expect(result.counts).toMatchObject({ ok: 20, errors: {} });
  expect([sockets, seen]).toEqual([20, new Array(20).fill('close')]);
});

const planWith = (more: Partial<LoadPlan>): LoadPlan => ({
  ...steadyPlan({ url: 'http://127.0.0.1:1/', ratePerSecond: 1 }),
  ...more,
});

test.each([
  ['a protocol that is not HTTP', { url: 'ftp://127.0.0.1/' }],
  ['HTTP/2 by its name', { url: 'h2c://127.0.0.1/' }],
  ['a user in the URL, who would not be sent', { url: 'http://ada:secret@127.0.0.1/' }],
  ['a rate of zero', { ratePerSecond: 0 }],
  ['a rate beyond the limit', { ratePerSecond: 1e9 }],
  ['a header that breaks the request', { headers: { a: 'b\r\nc: d' } }],
  ['a header that the generator owns', { headers: { Host: 'x' } }],
  ['a time-out of zero', { timeoutMs: 0 }],
  ['a warm-up that leaves nothing', { durationMs: 1_000, warmupMs: 1_000 }],
])('%s is a bad plan', (_, change) => {
  const plan = steadyPlan({ url: 'http://127.0.0.1:1/', ratePerSecond: 1, ...change });
  expect(() => runLoad(plan)).toThrow(expect.objectContaining({ code: 'load/bad-plan' }));
});

test.each<[string, Partial<LoadPlan['tls']>]>([
  ['certificates that are none', { ca: 'no PEM' }],
  ['a broken certificate', { ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' }],
  ['a name that is none', { serverName: 'a b' }],
])('%s: a bad plan', (_, tls) => {
  const plan = planWith({ tls: { ca: null, serverName: null, verify: true, ...tls } });
  expect(() => runLoad(plan)).toThrow(expect.objectContaining({ code: 'load/bad-plan' }));
});

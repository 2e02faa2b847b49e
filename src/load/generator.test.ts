import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
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
  expect(result.response.quantiles.p50.ms).toBeGreaterThanOrEqual(240);
  // The 98 that never got a connection during the stall were quick once sent: service time alone hides the stall.
  expect(result.service.quantiles.p50.ms).toBeLessThan(result.response.quantiles.p50.ms);
});

test('a service that never answers is a timeout, in flight or in line, counted at its time', async () => {
  const url = await serve(() => {});
  const result = await runLoad(uniform(url, 20, { maxConnections: 4, timeoutMs: 50 })).done;
  expect(result.counts).toMatchObject({ requests: 20, ok: 0, errors: { timeout: 20 } });
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
  expect(dead.counts.errors).toEqual({ connect: 5 });
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

test.each([
  ['an address without http', { url: 'https://127.0.0.1/' }],
  ['a rate of zero', { ratePerSecond: 0 }],
  ['a rate beyond the limit', { ratePerSecond: 1e9 }],
  ['a header that breaks the request', { headers: { a: 'b\r\nc: d' } }],
  ['a header that the generator owns', { headers: { Host: 'x' } }],
  ['a time-out of zero', { timeoutMs: 0 }],
])('%s is a bad plan', (_, change) => {
  const plan = steadyPlan({ url: 'http://127.0.0.1:1/', ratePerSecond: 1, ...change });
  expect(() => runLoad(plan)).toThrow(expect.objectContaining({ code: 'load/bad-plan' }));
});

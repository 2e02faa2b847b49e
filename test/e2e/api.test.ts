import { request as httpRequest } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { startLoad, steadyPlan } from '../../src/load/start-load.ts';
import type { ReleaseDoc } from '../../src/server/schemas.ts';
import { QUICK_POLICY, type Running, specOf, up } from './harness.ts';

/** Answers without a token: liveness, metrics on loopback, and the page with its login. */
const OPEN = /^\/(healthz|readyz|metrics|assets\/.*|index\.html|favicon.*|)$|^\/api\/v1\/session$/;

describe('the API', () => {
  let davy: Running;
  let token = '';
  let port = 0;

  beforeAll(async () => {
    port = await testPort();
    davy = await up(specOf({ shop: { port, versions: { v2: {} } } }, QUICK_POLICY));
    token = /token (\S+)/.exec(davy.said())?.[1] ?? '';
  });
  afterAll(() => davy?.end());

  interface Answer {
    status: number;
    headers: Record<string, string | string[] | undefined>;
    text: string;
    json: () => Record<string, unknown>;
  }
  /** node:http, because fetch does not let a test choose Host or Origin. */
  function call(method: string, path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Answer> {
    const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const all = payload === undefined ? headers : { 'content-type': 'application/json', ...headers };
    return new Promise((resolve, reject) => {
      const request = httpRequest({ host: '127.0.0.1', port: davy.port, method, path, headers: all }, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            text,
            json: () => JSON.parse(text) as Record<string, unknown>,
          }),
        );
      });
      request.on('error', reject);
      request.end(payload);
    });
  }
  const bearer = (): Record<string, string> => ({ authorization: `Bearer ${token}` });

  it('describes itself, and refuses every call without a token but a short list', async () => {
    const document = (await call('GET', '/api/v1/openapi.json', bearer())).json() as { paths: Record<string, object> };
    const operations = Object.entries(document.paths).flatMap(([path, verbs]) =>
      Object.keys(verbs).map((verb) => [verb, path]),
    );
    expect(operations.length).toBeGreaterThan(10);
    for (const [verb = '', path = ''] of operations) {
      if (OPEN.test(path)) continue;
      const { status } = await call(verb.toUpperCase(), path.replace(/\{\w+\}/g, 'x'));
      expect(status, `${verb} ${path}`).toBe(401);
    }
    expect((await call('GET', '/api/v1/fleet', { authorization: 'Bearer wrong' })).status).toBe(401);
    expect((await call('GET', '/healthz')).status).toBe(200);
  });

  it('refuses foreign hosts and origins', async () => {
    expect((await call('GET', '/api/v1/fleet', { ...bearer(), host: 'evil.example' })).status).toBe(403);
    expect((await call('GET', '/api/v1/fleet', { ...bearer(), origin: 'http://evil.example' })).status).toBe(403);
  });

  it('bounds and checks what comes in', async () => {
    const huge = JSON.stringify({ service: 'shop', version: 'v2', reason: 'x'.repeat(70_000) });
    expect((await call('POST', '/api/v1/releases', bearer(), huge)).status).toBe(413);
    const wrong = await call('POST', '/api/v1/releases', bearer(), {
      service: 'shop',
      version: 'v2',
      reason: 'x',
      extra: 1,
    });
    expect(wrong.status).toBe(400);
    const polluted = await call(
      'POST',
      '/api/v1/releases',
      bearer(),
      '{"service":"shop","version":"v2","reason":"x","__proto__":{"a":1}}',
    );
    expect(polluted.status).toBe(400);
    expect(({} as { a?: number }).a).toBeUndefined();
    const missing = (await call('GET', '/api/v1/nothing', bearer())).json() as {
      error: { code: string; next: string };
    };
    expect(missing.error).toMatchObject({ code: 'api/not-found', next: expect.stringContaining('openapi') });
  });

  it('takes an idempotency key and an If-Match', async () => {
    const load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 50 }));
    try {
      const body = { service: 'shop', version: 'v2', reason: 'first' };
      const key = { ...bearer(), 'idempotency-key': 'key-1' };
      const first = await call('POST', '/api/v1/releases', key, body);
      expect(first.status).toBe(201);
      const again = await call('POST', '/api/v1/releases', key, body);
      expect(again.json().id).toBe(first.json().id);
      expect((await call('POST', '/api/v1/releases', key, { ...body, reason: 'other' })).status).toBe(422);
      const path = `/api/v1/releases/${first.json().id}`;
      const { etag } = (await call('GET', path, bearer())).headers;
      const paused = await call('POST', `${path}/pause`, { ...bearer(), 'if-match': '"999"' }, { reason: 'x' });
      expect(paused.status).toBe(412);
      expect(String(etag)).toMatch(/^"\d+"$/);
      const cancelled = await call('POST', `${path}/rollback`, bearer(), { reason: 'enough' });
      expect((cancelled.json() as unknown as ReleaseDoc).endReason).toBe('enough');
    } finally {
      await load.stop();
    }
  });

  it('streams records and resumes after Last-Event-ID without a gap', async () => {
    const size = Number(((await call('GET', '/api/v1/records?limit=1', bearer())).json() as { size: number }).size);
    const ids = await streamIds({ 'last-event-id': '0' }, size - 1);
    expect(ids).toEqual(Array.from({ length: size - 1 }, (_, index) => index + 1));
    const rest = await streamIds({ 'last-event-id': '3' }, size - 4);
    expect(rest[0]).toBe(4);
    expect((await call('GET', '/api/v1/events', { ...bearer(), 'last-event-id': 'x' })).status).toBe(400);
  });

  it('offers one scrape address with the names of the mesh', async () => {
    for (let i = 0; i < 5; i++) await fetch(`http://127.0.0.1:${port}/`).then((answer) => answer.text());
    const { text, status } = await call('GET', '/metrics');
    expect(status).toBe(200);
    for (const name of ['istio_requests_total', 'istio_request_duration_milliseconds_bucket', 'davy_ledger_records']) {
      expect(text).toContain(name);
    }
  });

  function streamIds(headers: Record<string, string>, count: number): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const ids: number[] = [];
      const request = httpRequest(
        { host: '127.0.0.1', port: davy.port, path: '/api/v1/events', headers: { ...bearer(), ...headers } },
        (answer) => {
          answer.setEncoding('utf8').on('data', (text: string) => {
            for (const match of text.matchAll(/^id: (\d+)$/gm)) ids.push(Number(match[1]));
            if (ids.length < count) return;
            request.destroy();
            resolve(ids.slice(0, count));
          });
        },
      );
      request.on('error', (error) => (ids.length < count ? reject(error) : undefined));
      request.end();
    });
  }
});

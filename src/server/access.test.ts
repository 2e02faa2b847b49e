import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createVirtualClock } from '../lib/virtual-clock.ts';
import type { ServerContext } from './context.ts';
import { buildServer } from './server.ts';
import { createSessions, sessionCookie, sessionIdOf } from './sessions.ts';

const TOKEN = 'a-token-that-nobody-guesses';
const HOST = { host: '127.0.0.1:7070' };
const PAGE = { ...HOST, 'x-davy-page': '1' };
/** What answers without a token; everything else must not. */
const OPEN = new Set(['GET /healthz', 'GET /readyz', 'GET /metrics', 'POST /api/v1/session']);

describe('who may call what', () => {
  const clock = createVirtualClock();
  const sessions = createSessions(clock, { file: null, salt: '' });
  let app: FastifyInstance;
  let replayed = true;

  beforeAll(async () => {
    // No handler is reached: whoever is refused is refused before.
    const context = { clock, log: { error: () => {} }, replayed: () => replayed } as unknown as ServerContext;
    app = await buildServer(context, { token: TOKEN, loopback: true, sessions }, 'test');
  });
  afterAll(() => app.close());

  function calls(): { method: 'GET'; url: string }[] {
    const { paths = {} } = app.swagger() as { paths?: Record<string, Record<string, unknown>> };
    const listed = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({
        method: method.toUpperCase() as 'GET',
        url: path.replaceAll(/\{\w+\}/g, 'x'),
      })),
    );
    return [...listed, { method: 'GET', url: '/api/v1/openapi.json' }];
  }

  it('refuses every call of the API without a token, but for the list', async () => {
    expect(calls().length).toBeGreaterThan(30);
    for (const call of calls()) {
      if (OPEN.has(`${call.method} ${call.url}`)) continue;
      const { statusCode } = await app.inject({ ...call, headers: PAGE });
      expect(statusCode, `${call.method} ${call.url}`).toBe(401);
    }
  });

  it('shows and changes nothing before the ledger was read, and says so', async () => {
    replayed = false;
    const headers = { ...PAGE, authorization: `Bearer ${TOKEN}` };
    for (const call of calls()) {
      if (/healthz|session|openapi/.test(call.url)) continue;
      const answer = await app.inject({ ...call, headers });
      expect(answer.statusCode, `${call.method} ${call.url}`).toBe(503);
      if (call.url === '/readyz') expect(answer.json()).toMatchObject({ ready: false });
      else expect(answer.json(), call.url).toMatchObject({ error: { code: 'api/starting' } });
    }
    for (const url of ['/healthz', '/api/v1/openapi.json'])
      expect((await app.inject({ method: 'GET', url, headers })).statusCode).toBe(200);
    replayed = true;
  });

  it.each(['/api', '/api/', '/api/v1/nothing', '/%61pi/v1/fleet', '/API/v1/fleet', '/metrics/x', '//api/v1/fleet'])(
    '%s is not mistaken for a page',
    async (url) => {
      const { statusCode, headers } = await app.inject({ method: 'GET', url, headers: HOST });
      expect(statusCode).toBe(401);
      expect(headers['content-type']).toContain('json');
    },
  );

  it.each(['/assets/../../package.json', '/assets/..%2f..%2fpackage.json', '/..%2fpackage.json', '/.setup-stamp'])(
    '%s does not leave the folder of the page',
    async (url) => {
      const { payload } = await app.inject({ method: 'GET', url, headers: HOST });
      expect(payload).not.toContain('devDependencies');
      expect(payload).not.toMatch(/^[0-9a-f]{64}$/);
    },
  );

  it('refuses another Host and another Origin, page or not', async () => {
    for (const headers of [{ host: 'evil.example' }, { ...HOST, origin: 'http://evil.example' }]) {
      expect((await app.inject({ method: 'GET', url: '/', headers })).statusCode).toBe(403);
    }
  });

  it('logs in with the token alone, from the page alone', async () => {
    const login = (token: string, headers: Record<string, string>) =>
      app.inject({ method: 'POST', url: '/api/v1/session', headers, payload: { token } });
    expect((await login('wrong', PAGE)).statusCode).toBe(401);
    expect((await login(TOKEN, HOST)).statusCode).toBe(403);
    const answer = await login(TOKEN, PAGE);
    expect(answer.statusCode).toBe(201);
    expect(answer.payload).not.toContain(TOKEN);
    expect(answer.headers['set-cookie']).toMatch(/; Path=\/api; HttpOnly; SameSite=Strict; Max-Age=43200$/);
  });

  it('takes a session for reading; a change needs the header that other sites cannot send', async () => {
    const { id } = sessions.open();
    const cookie = sessionCookie(id, 0).split(';')[0] ?? '';
    const end = (headers: Record<string, string>) =>
      app.inject({ method: 'DELETE', url: '/api/v1/session', headers: { ...headers, cookie } });
    const read = () => app.inject({ method: 'GET', url: '/api/v1/session', headers: { ...HOST, cookie } });
    expect((await read()).statusCode).toBe(200);
    expect((await end(HOST)).statusCode).toBe(403);
    expect((await end(PAGE)).statusCode).toBe(200);
    expect((await read()).statusCode).toBe(401);
  });
});

describe('sessions', () => {
  it('end by time, and outlive a restart unless the operator chose another token', () => {
    const folder = mkdtempSync(join(tmpdir(), 'davy-sessions-'));
    try {
      const file = join(folder, 'sessions.json');
      const clock = createVirtualClock();
      const { id } = createSessions(clock, { file, salt: 'one' }).open();
      expect(createSessions(clock, { file, salt: 'one' }).find(id)).not.toBeNull();
      expect(createSessions(clock, { file, salt: 'two' }).find(id)).toBeNull();
      const later = createVirtualClock(clock.nowMs() + 13 * 3_600_000);
      expect(createSessions(later, { file, salt: 'one' }).find(id)).toBeNull();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are bounded: the oldest goes', () => {
    const sessions = createSessions(createVirtualClock(), { file: null, salt: '' });
    const first = sessions.open().id;
    for (let i = 0; i < 1_000; i++) sessions.open();
    expect(sessions.find(first)).toBeNull();
  });

  it.each(['', 'davy_session_1=short', `davy_session_2=${'a'.repeat(43)}`])('reads no session from "%s"', (cookie) => {
    expect(sessionIdOf(cookie, 1)).toBeNull();
  });
});

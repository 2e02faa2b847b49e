import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../lib/until.fixture.ts';
import { type ApiWorld, createApiWorld } from './api-world.fixture.ts';
import { sessionCookie } from './sessions.ts';

const HOURS_MS = 3_600_000;
const line = 'x'.repeat(60_000);

describe('when a session ends', () => {
  let api: ApiWorld;
  let port = 0;
  let asked = Promise.withResolvers<void>();
  let verified = Promise.withResolvers<void>();

  beforeEach(async () => {
    asked = Promise.withResolvers();
    verified = Promise.withResolvers();
    api = await createApiWorld({
      proofs: { lines: async () => Array.from({ length: 1_000 }, () => line), prove: () => Promise.reject() },
      verifyLedger: async () => {
        asked.resolve();
        await verified.promise;
        return { ok: true, size: 1, root: '', firstBad: null };
      },
    });
    await api.app.listen({ host: '127.0.0.1', port: 0 });
    port = (api.app.server.address() as AddressInfo).port;
  });
  afterEach(() => api.close());

  function ask(path: string, headers: Record<string, string>, more: RequestOptions = {}): Promise<IncomingMessage> {
    const request = httpRequest({ host: '127.0.0.1', port, path, headers, ...more });
    request.end();
    return once(request, 'response').then(([answer]) => answer as IncomingMessage);
  }

  function login(): { id: string; cookie: string } {
    const { id } = api.sessions.open();
    return { id, cookie: sessionCookie(id, port).split(';')[0] ?? '' };
  }

  async function openStream(headers: Record<string, string>) {
    const answer = await ask('/api/v1/events?after=0', headers);
    const stream = { text: '', ended: false };
    answer.setEncoding('utf8').on('data', (text: string) => {
      stream.text += text;
    });
    answer.on('end', () => {
      stream.ended = true;
    });
    await append('first');
    await until(() => stream.text.includes('first'));
    return stream;
  }

  const append = (word: string) => api.ledger.append([{ type: 'test.said', stream: 'test', data: { word } }]);

  it('the event stream of a session that was closed tells its reader so instead of the next record', async () => {
    const { id, cookie } = login();
    const stream = await openStream({ cookie });
    api.sessions.close(id);
    await append('secret');
    await until(() => stream.ended);
    expect(stream.text).not.toContain('secret');
    expect(stream.text).toMatch(/event: stream\.ended\ndata: \{"error":\{"code":"api\/unauthorised".*\}\n\n$/);
  });

  it('a quiet event stream ends within ten seconds', async () => {
    const { id, cookie } = login();
    const stream = await openStream({ cookie });
    await api.clock.advance(60_000);
    expect(stream.ended).toBe(false);
    api.sessions.close(id);
    await api.clock.advance(10_000);
    await until(() => stream.ended);
    expect(stream.text).toContain('event: stream.ended');
  });

  it('a session that runs out ends its event stream as well; the stream of the token goes on', async () => {
    const { cookie } = login();
    const [bySession, byToken] = [
      await openStream({ cookie }),
      await openStream({ authorization: `Bearer ${api.token}` }),
    ];
    api.clock.stepWall(13 * HOURS_MS);
    await api.clock.advance(10_000);
    await until(() => bySession.ended);
    await append('later');
    await until(() => byToken.text.includes('later'));
    expect(bySession.text).not.toContain('later');
  });

  it('lines that are still being sent are cut', async () => {
    const { id, cookie } = login();
    const answer = await ask('/api/v1/evidence/lines', { cookie });
    let octets = 0;
    const cut = once(answer, 'error');
    answer.once('data', (chunk: Buffer) => {
      octets += chunk.length;
      answer.pause();
      api.sessions.close(id);
      answer.on('data', (more: Buffer) => {
        octets += more.length;
      });
      answer.resume();
    });
    expect(((await cut)[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET');
    expect(octets).toBeLessThan(1_000 * line.length);
  });

  it('an answer that took its time is not given', async () => {
    const { id, cookie } = login();
    const waiting = ask('/api/v1/evidence/verify', { cookie });
    await asked.promise;
    api.sessions.close(id);
    verified.resolve();
    const answer = await waiting;
    const [body] = (await once(answer.setEncoding('utf8'), 'data')) as [string];
    expect(answer.statusCode).toBe(401);
    expect(JSON.parse(body)).toMatchObject({ error: { code: 'api/unauthorised' } });
  });

  it('a change whose body arrives afterwards is refused', async () => {
    const { id, cookie } = login();
    const headers = { cookie, 'x-davy-page': '1', 'content-type': 'application/json' };
    const request = httpRequest({ host: '127.0.0.1', port, path: '/api/v1/releases', method: 'POST', headers });
    const served = once(api.app.server, 'request');
    const body = JSON.stringify({ service: 'shop', version: 'v2', reason: 'too late' });
    request.write(body.slice(0, 10));
    await served;
    api.sessions.close(id);
    request.end(body.slice(10));
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(401);
    expect(api.store.lines.join()).not.toContain('too late');
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiWorld, createApiWorld } from './api-world.fixture.ts';

/** Every call that takes a reason, without it. */
const CHANGES: [string, object][] = [
  ['/api/v1/releases', { service: 'shop', version: 'v2' }],
  ['/api/v1/releases/shop-1/pause', {}],
  ['/api/v1/releases/shop-1/resume', {}],
  ['/api/v1/releases/shop-1/rollback', {}],
  ['/api/v1/releases/shop-1/promote', {}],
  ['/api/v1/traffic/continue', { acceptLoss: true }],
  ['/api/v1/chaos/runs', { experiment: 'slow-shop' }],
  ['/api/v1/chaos/stop', {}],
  ['/api/v1/chaos/runs/chaos-1/clear', {}],
  ['/api/v1/metrics/silence', { forMs: 1_000 }],
  ['/api/v1/gateway/restart', {}],
  ['/api/v1/evidence/rotate-key', {}],
  ['/api/v1/evidence/personal', { subject: 'x', fields: { name: 'x' } }],
  ['/api/v1/evidence/erase', { subject: 'x', basis: 'x' }],
];

describe('a change', () => {
  let api: ApiWorld;
  beforeAll(async () => {
    api = await createApiWorld();
  });
  afterAll(() => api?.close());

  it('there is no other call that takes a reason', () => {
    const { paths = {} } = api.app.swagger() as { paths?: Record<string, { post?: object }> };
    const taking = Object.keys(paths).filter((path) => takesReason(paths[path]?.post));
    expect(taking.toSorted()).toEqual(CHANGES.map(([url]) => url.replace(/(shop|chaos)-1/, '{id}')).toSorted());
  });

  describe.each(CHANGES)('%s', (url, body) => {
    const withReason = (reason: string): string =>
      JSON.stringify({ ...body, reason: 'REASON' }).replace('REASON', reason);
    const noText: [string, string | Buffer][] = [
      ['half a character in the reason', withReason('\\ud800')],
      ['the other half', withReason('a\\udc00b')],
      ['NUL in the reason', withReason('a\\u0000b')],
      ['octets that are not UTF-8', Buffer.from(withReason('a\u00ffb'), 'latin1')],
      ['a surrogate in UTF-8 (CESU-8)', Buffer.from(withReason('\u00ed\u00a0\u0080'), 'latin1')],
      ['an overlong NUL', Buffer.from(withReason('\u00c0\u0080'), 'latin1')],
      ['half a character as a name', withReason('x').replace('"reason"', '"\\ud800":1,"reason"')],
    ];

    it.each(noText)('with %s is refused as no text, and nothing is recorded', async (_, payload) => {
      const before = api.store.lines.length;
      const answer = await api.call('POST', url, payload);
      expect(answer.body).toMatchObject({ error: { code: 'api/not-text' } });
      expect(answer.status).toBe(400);
      expect(api.store.lines.length).toBe(before);
    });

    it.each(['', '   ', '\\t\\n', '\\u200b', '\\u3164\\u2060', '\\u202e', '\\u2800'])(
      'with the blank reason "%s" is refused, and nothing is recorded',
      async (reason) => {
        const before = api.store.lines.length;
        const answer = await api.call('POST', url, withReason(reason));
        expect(answer.body).toMatchObject({ error: { code: 'lib/blank-reason' } });
        expect(answer.status).toBe(400);
        expect(api.store.lines.length).toBe(before);
      },
    );
  });

  it('with a reason in any language, in lines or with emoji is taken as it was typed', async () => {
    const reason = 'שלום\n⚠️ größer – 中文 👩‍💻';
    const answer = await api.call('POST', '/api/v1/releases', { service: 'shop', version: 'v2', reason });
    expect(answer.body).toMatchObject({ reason });
    expect(answer.status).toBe(201);
  });
});

describe('an address', () => {
  let api: ApiWorld;
  beforeAll(async () => {
    api = await createApiWorld();
  });
  afterAll(() => api?.close());

  it.each(['%ff', '%ed%a0%80', '%c0%80', '%00', 'a%00b'])('/releases/%s is no text: 400 with a code', async (id) => {
    const answer = await api.call('GET', `/api/v1/releases/${id}`);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: { code: expect.stringMatching(/^api\/(not-text|invalid-request)$/) } });
  });

  it('a search for NUL is refused', async () => {
    const answer = await api.call('GET', '/api/v1/records?text=%00');
    expect(answer.body).toMatchObject({ error: { code: 'api/not-text' } });
  });
});

function takesReason(post: object | undefined): boolean {
  const text = JSON.stringify((post as { requestBody?: object } | undefined)?.requestBody ?? '');
  return text.includes('"reason":{');
}

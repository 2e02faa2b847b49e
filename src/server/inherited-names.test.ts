import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiWorld, createApiWorld } from './api-world.fixture.ts';

/** What every object has without having been given it. */
const INHERITED = Object.getOwnPropertyNames(Object.prototype);

const inline = (scope: object, gateway = 'shop') => ({
  inline: {
    hypothesis: 'x',
    fault: { delay: '100ms' },
    scope,
    for: '10s',
    probes: [{ name: 'p', gateway, errors: '1%' }],
  },
});

describe('names that every object inherits', () => {
  let api: ApiWorld;
  beforeAll(async () => {
    api = await createApiWorld();
  });
  afterAll(() => api?.close());

  type Call = ['GET' | 'POST', string, unknown, status: number, known: string];
  const calls = (name: string): Call[] => {
    const id = encodeURIComponent(name);
    const reason = 'x';
    return [
      ['POST', '/api/v1/releases', { service: name, version: 'v2', reason }, 404, 'shop'],
      ['POST', '/api/v1/releases', { service: 'shop', version: name, reason }, 404, 'v1, v2, v3'],
      ['GET', `/api/v1/releases/${id}`, undefined, 404, 'none'],
      ['GET', `/api/v1/releases/${id}/observations`, undefined, 404, 'none'],
      ...['pause', 'resume', 'rollback', 'promote'].map(
        (verb): Call => ['POST', `/api/v1/releases/${id}/${verb}`, { reason }, 404, 'none'],
      ),
      ['GET', `/api/v1/chaos/runs/${id}`, undefined, 404, 'none'],
      ['POST', `/api/v1/chaos/runs/${id}/clear`, { reason }, 404, 'none'],
      ['POST', '/api/v1/chaos/stop', { runs: [name], reason }, 404, 'none'],
      ['POST', '/api/v1/chaos/runs', { experiment: name, reason }, 404, 'slow-shop'],
      ['POST', '/api/v1/chaos/check', { experiment: name }, 404, 'slow-shop'],
    ];
  };

  it.each(INHERITED)(
    '%s is no service, version, release, experiment or run: 404 with the known names',
    async (name) => {
      const before = api.store.lines.length;
      for (const [method, url, body, status, known] of calls(name)) {
        const answer = await api.call(method, url, body);
        expect(answer.status, `${method} ${url} ${answer.text}`).toBe(status);
        expect(answer.text, `${method} ${url}`).toContain(`Known: ${known}.`);
      }
      expect(api.store.lines.length).toBe(before);
    },
  );

  it('an experiment that comes with a call may only name what the spec declares: 422', async () => {
    const cases = [
      [inline({ service: 'constructor' }), 'Known: shop.'],
      [inline({ service: 'shpo' }), 'did you mean shop?'],
      [inline({ service: 'shop', version: 'constructor' }), 'Known: v1, v2, v3.'],
      [inline({ service: 'shop' }, 'constructor'), 'Known: shop.'],
    ] as const;
    for (const [body, says] of cases) {
      const answer = await api.call('POST', '/api/v1/chaos/check', body);
      expect(answer.text).toContain(says);
      expect(answer.status).toBe(422);
    }
  });

  it('names the nearest that there is', async () => {
    const answer = await api.call('POST', '/api/v1/releases', { service: 'shpo', version: 'v2', reason: 'x' });
    expect(answer.body).toMatchObject({
      error: {
        code: 'release/unknown-service',
        sentence: 'There is no service "shpo"; did you mean shop? Known: shop.',
      },
    });
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPort } from '../../lib/test-port.fixture.ts';
import type { FaultRule } from '../../traffic/faults.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import type { Plane } from '../plane.ts';
import { noPast } from '../succession/predecessor.ts';
import { connectRaw, get, startUpstream, statusOf, type TestUpstream, tableOf } from '../testing/harness.ts';
import { singlePlane } from '../workers/single.ts';
import { type AdminServer, startAdmin } from './server.ts';

let plane: Plane;
let admin: AdminServer;
let upstream: TestUpstream;
let port: number;
let good: RoutingTable;

beforeAll(async () => {
  plane = singlePlane(Buffer.alloc(32, 1), null);
  const restart = async () => Promise.reject(new Error('not here'));
  admin = await startAdmin(plane, 'secret', { drain: () => {}, restart });
  upstream = await startUpstream();
  port = await testPort();
  good = tableOf(port, 1, { stable: [upstream] });
  await plane.apply(good);
});
afterAll(async () => {
  admin.close();
  await plane.drain(1_000);
  await noPast.ended(0);
  await upstream.close();
});

async function call(name: string, body: string | undefined) {
  const [method = '', path = ''] = name.split(' ');
  const answer = await fetch(`http://127.0.0.1:${admin.port}${path}`, {
    method,
    headers: { authorization: 'Bearer secret' },
    ...(body === undefined ? {} : { body }),
  });
  return { status: answer.status, body: (await answer.json()) as { code?: string; message?: string } };
}

const rule: FaultRule = {
  id: 'x',
  action: { kind: 'delay', delayMs: 1 },
  scope: { service: 'nobody', version: null, instances: null, zone: null, share: 1 },
  ttlMs: 1_000,
};
/** What can stand anywhere in JSON. */
const anything: unknown[] = [null, 0, -1, 1.5, 1e300, true, 'x', '', '__proto__', [], {}, [null], [[]], { a: 1 }];

function* placesIn(value: unknown, path: (string | number)[] = []): Generator<(string | number)[]> {
  yield path;
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) yield* placesIn((value as Record<string, unknown>)[key], [...path, key]);
}

function withOther(value: unknown, path: readonly (string | number)[], other: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return other;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string | number, unknown>;
  copy[key] = withOther(copy[key], rest, other);
  return copy;
}

const deep = `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;

describe('every call of the admin address', () => {
  it.each(['PUT /table', 'POST /leases', 'PUT /faults', 'POST /faults/clear'])(
    '%s: what is no object of its kind is 400 with a sentence',
    async (name) => {
      const bodies = [
        undefined,
        '',
        '{',
        'null',
        '[]',
        '"x"',
        '5',
        '{}',
        '{"rules":5,"ids":5}',
        '{"ids":[null]}',
        deep,
      ];
      for (const body of bodies) {
        const answer = await call(name, body);
        expect({ body: body?.slice(0, 20), status: answer.status }).toEqual({ body: body?.slice(0, 20), status: 400 });
        expect(answer.body.message).toMatch(/^\S.*\.$/);
        expect(answer.body.code).toMatch(/^invalid-/);
      }
    },
  );

  it.each([
    ['delay', { kind: 'delay', delayMs: 1 }],
    ['abort', { kind: 'abort', status: 503 }],
    ['bandwidth', { kind: 'bandwidth', bytesPerSecond: 1 }],
    ['blackhole', { kind: 'blackhole' }],
  ])(
    'PUT /faults: anything anywhere in a rule (%s) is taken as it is meant or refused, and traffic goes on',
    async (_kind, action) => {
      const whole = { rules: [{ ...rule, action }] };
      for (const path of placesIn(whole)) {
        for (const other of anything) {
          const { status } = await call('PUT /faults', JSON.stringify(withOther(whole, path, other)));
          expect([path, other, [200, 400].includes(status)]).toEqual([path, other, true]);
        }
      }
      await call('POST /faults/clear', '{"all":true}');
      const client = connectRaw(port);
      client.send(get());
      expect(statusOf(await client.closed())).toBe(200);
    },
  );

  it('PUT /table: anything anywhere in a table is taken as it is meant or refused whole', async () => {
    const table = withOptions(good);
    let generation = 1;
    for (const path of placesIn(table)) {
      for (const other of anything) {
        const { status } = await call(
          'PUT /table',
          JSON.stringify(withOther({ ...table, generation: ++generation }, path, other)),
        );
        // 409: an older generation, or an address that cannot be had.
        expect([path, other, [200, 400, 409].includes(status)]).toEqual([path, other, true]);
      }
    }
    expect((await call('GET /state', undefined)).status).toBe(200);
  });

  it('answers 503 starting, which may be repeated, where nobody can answer yet', async () => {
    const { Hub } = await import('../workers/hub.ts');
    const folder = mkdtempSync(join(tmpdir(), 'davy-admin-'));
    const silent = join(folder, 'silent.mjs');
    writeFileSync(silent, 'setInterval(() => {}, 60_000);');
    const hub = new Hub(silent, 1, Buffer.alloc(32, 1));
    const other = await startAdmin(hub, 'secret', {
      drain: () => {},
      restart: async () => ({ pid: 0, afterwards: () => {} }),
    });
    const ask = (method: string, path: string, body?: string) =>
      fetch(`http://127.0.0.1:${other.port}${path}`, {
        method,
        headers: { authorization: 'Bearer secret' },
        body: body ?? null,
      });
    for (const [method, path, body] of [
      ['PUT', '/table', JSON.stringify(good)],
      ['GET', '/state'],
      ['POST', '/leases', '{"ids":["a"]}'],
      ['PUT', '/faults', JSON.stringify({ rules: [rule] })],
    ] as const) {
      const answer = await ask(method, path, body);
      expect([path, answer.status]).toEqual([path, 503]);
      expect(await answer.json()).toMatchObject({ code: 'starting' });
    }
    other.close();
    await hub.drain(100);
    rmSync(folder, { recursive: true });
  });
});

function withOptions(table: RoutingTable): RoutingTable {
  const [service] = table.services;
  const whole = {
    ...service!,
    versions: [...service!.versions, { version: 'v2', instances: [] }],
    canary: { version: 'v2', weightBp: 100, release: 'svc-1', header: 'x-c', lease: { id: 'svc-1', ttlMs: 60_000 } },
    retries: { maxTries: 2, perTryMs: 100, budgetShare: 0.2 },
    ejection: { consecutive5xx: 5, forMs: 1_000 },
    rateLimit: { perSecond: 1_000, burst: 1_000 },
    rules: [{ to: 'canary' as const, when: [{ header: 'a', match: 'exact' as const, value: 'b' }] }],
    sticky: { cookie: 'place', secret: null, epoch: 1, maxAgeS: 1 },
    mirror: { version: 'v2', share: 0.5, maxConcurrent: 1 },
    zone: 'a',
    breaker: { consecutive5xx: 5, openMs: 1_000 },
    caps: { maxConnections: 100, maxPending: 100, maxRequests: 100 },
    healthCheck: {
      probe: { kind: 'tcp' as const },
      ...{ everyMs: 60_000, timeoutMs: 1_000, unhealthyAfter: 3, healthyAfter: 1 },
    },
    slowStartMs: 1,
    drainMs: 1,
    rateLimitMode: 'enforce' as const,
    trustedProxies: ['10.0.0.0/8'],
    accessLogShare: 0,
    webSocket: true,
    connect: { allow: ['a.example:1'], privateAddresses: true, maxTunnels: 1, connectMs: 100, idleMs: 100 },
    tls: null,
    protocol: 'http1' as const,
  };
  return { ...table, generation: 1, services: [whole] };
}

import { once } from 'node:events';
import type http2 from 'node:http2';
import type net from 'node:net';
import { describe, expect, it, vi } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import type { ServiceRoute } from '../../traffic/model.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import { answering, get, type Script, startGateway, startUpstream, type TestGateway } from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

/** The times are shorter here, nothing else: this file has its own process. */
vi.mock('../limits.ts', async (original) => {
  const { limits } = (await original()) as typeof import('../limits.ts');
  return { limits: { ...limits, upstreamIdleMs: 200, upstreamAgeMs: 300 } };
});

const open = closedAfterEach();
const NAME = 'instance.test';
const OLD = '127.0.0.2';
const NEW = '127.0.0.3';
/** A connection that would be kept for ten minutes, if the instance had its way. */
const KEPT = 'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: 3\r\n\r\n';
const HEALTH = { probe: { kind: 'http1', path: '/up' }, timeoutMs: 5000, unhealthyAfter: 1, healthyAfter: 1 } as const;

/** A name that leads to `OLD` until it is moved to `NEW`, and a gateway with one instance of that name. */
async function gatewayTo(port: number, route: Partial<ServiceRoute>) {
  let address = OLD;
  const lookup: net.LookupFunction = (_name, _options, done) => setImmediate(done, null, [{ address, family: 4 }]);
  const versions = [{ version: 'v1', instances: [{ id: 'svc/v1/0', host: NAME, port, zone: null }] }];
  const gateway = await startGateway({ stable: [], route: { versions, ...route } }, { lookup });
  open.push(() => gateway.close());
  const move = () => {
    address = NEW;
  };
  return { gateway, move };
}

/** The same port is served at both addresses. */
async function start(route: Partial<ServiceRoute>, script: Script = answering(`${KEPT}old`)) {
  const old = await startUpstream(script, { host: OLD });
  const moved = await startUpstream(answering(`${KEPT}new`), { host: NEW, port: old.port });
  open.push(
    () => old.close(),
    () => moved.close(),
  );
  return { ...(await gatewayTo(old.port, route)), old, moved };
}

async function startH2c(route: Partial<ServiceRoute>) {
  const says = (text: string) => (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ':status': 200, 'content-length': 3 });
    stream.end(text);
  };
  const old = await startH2cUpstream(says('old'), { host: OLD });
  const moved = await startH2cUpstream(says('new'), { host: NEW, port: old.port });
  open.push(
    () => old.close(),
    () => moved.close(),
  );
  return { ...(await gatewayTo(old.port, { protocol: 'h2c', ...route })), old, moved };
}

const whoAnswers = async (gateway: TestGateway) => /old|new/.exec(await gateway.exchange(get('/x')))?.[0];

describe('an instance whose name has moved', () => {
  it('gets no request at its old address once a health check has reached the new one', async () => {
    const { gateway, old, moved, move } = await start({ healthCheck: { ...HEALTH, everyMs: 10 } });
    expect(await whoAnswers(gateway)).toBe('old');
    move();
    await until(() => moved.received().includes('GET /up '));
    const before = old.received().match(/GET \/x /g)?.length;
    for (let i = 0; i < 5; i++) expect(await whoAnswers(gateway)).toBe('new');
    expect(old.received().match(/GET \/x /g)).toHaveLength(before ?? 0);
    await until(() => old.connections.every(({ socket }) => socket.destroyed));
  });

  it('is followed without health checks too: no connection of the pool is used beyond its age, however busy', async () => {
    const { gateway, old, move } = await start({});
    expect(await whoAnswers(gateway)).toBe('old');
    move();
    while ((await whoAnswers(gateway)) !== 'new');
    for (let i = 0; i < 5; i++) expect(await whoAnswers(gateway)).toBe('new');
    await until(() => old.connections.every(({ socket }) => socket.destroyed));
  });

  it.each([
    ['once a health check has reached the new one', { ...HEALTH, probe: { kind: 'h2c', path: '/up' }, everyMs: 10 }],
    ['beyond the age of a connection, without health checks', null],
  ] as const)('gets no request over HTTP/2 at its old address %s', async (_when, healthCheck) => {
    const { gateway, old, moved, move } = await startH2c({ healthCheck });
    expect(await whoAnswers(gateway)).toBe('old');
    move();
    if (healthCheck !== null) await until(() => moved.heads.length > 0);
    else while ((await whoAnswers(gateway)) !== 'new');
    for (let i = 0; i < 5; i++) expect(await whoAnswers(gateway)).toBe('new');
    await until(() => old.sessions.size === 0);
  });

  it('ends the answer that is under way at its old address, on a connection that is not used again', async () => {
    const slow: Script = ({ socket, received }) => {
      socket.write(received.includes('GET /x ') ? KEPT : 'HTTP/1.1 204 No Content\r\n\r\n');
    };
    const { gateway, old, moved, move } = await start({ healthCheck: { ...HEALTH, everyMs: 10 } }, slow);
    const answer = whoAnswers(gateway);
    await until(() => old.received().includes('GET /x '));
    const [busy] = old.connections.filter(({ received }) => received.includes('GET /x '));
    move();
    await until(() => moved.received().includes('GET /up '));
    const closed = once(busy!.socket, 'close');
    busy!.socket.write('old');
    expect(await answer).toBe('old');
    await closed;
  });
});

describe('an idle connection of the pool', () => {
  it('is not kept longer than the gateway keeps any, whatever the instance says', { timeout: 30_000 }, async () => {
    const { gateway, old } = await start({});
    await whoAnswers(gateway);
    await until(() => old.connections.every(({ socket }) => socket.destroyed));
  });
});

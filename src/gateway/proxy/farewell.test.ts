/** What a process that leaves cannot finish is told so, where its protocol has words for it. */
import { once } from 'node:events';
import http2 from 'node:http2';
import { expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import { startH2cUpstream } from '../testing/h2c-upstream.ts';
import { answering, connectRaw, get, type Script } from '../testing/harness.ts';
import { closedAfterEach, openedForTest } from '../testing/opened.ts';

const { upstream, gatewayTo } = openedForTest();
const open = closedAfterEach();

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
/** Close with the status 1001, as a server says it. */
const GOING_AWAY = '\x88\x02\x03\xe9';
const switching: Script = (connection) => void (connection.answers++ === 0 && connection.socket.write(SWITCH));
/** Long enough for a busy machine, and most of it is waited for. */
const DRAIN_MS = 1_200;

it('100 WebSockets: each side gets a Close frame of 1001, and nothing is cut', async () => {
  const target = await upstream(switching);
  const gateway = await gatewayTo({ stable: [target] });
  const clients = Array.from({ length: 100 }, () => connectRaw(gateway.port));
  for (const client of clients) client.send(UPGRADE);
  await Promise.all(clients.map((client) => client.until(/101 /)));
  let resets = 0;
  for (const { socket } of clients) socket.on('error', () => resets++);
  await gateway.engine.drain(DRAIN_MS);
  for (const client of clients) expect((await client.closed()).endsWith(`\r\n\r\n${GOING_AWAY}`)).toBe(true);
  await until(() => target.connections.every(({ received }) => /\r\n\r\n\x88\x82.{6}$/s.test(received)));
  expect(resets).toBe(0);
});

it('a request without an answer: 503 with its own cause, and the version is not charged', async () => {
  const silent = await upstream(() => {});
  const gateway = await gatewayTo({ stable: [silent], route: { timeoutMs: 60_000 } });
  const client = connectRaw(gateway.port);
  client.send(get());
  await until(() => silent.received() !== '');
  await gateway.engine.drain(DRAIN_MS);
  expect(await client.closed()).toMatch(/^HTTP\/1\.1 503 .*x-davy-cause: draining\r\n/s);
  const { firstTry } = gateway.engine.counters().services[0]!.instances[0]!;
  expect(firstTry).toMatchObject({ status5xx: 0, timeouts: 0, resets: 0 });
});

it('a gRPC call that streams its answers: UNAVAILABLE', async () => {
  const service = await startH2cUpstream((stream) => {
    stream.on('error', () => {});
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
    stream.write(Buffer.alloc(5));
  });
  open.push(() => service.close());
  const gateway = await gatewayTo({ stable: [service as never], route: { protocol: 'grpc' } });
  const session = http2.connect(`http://127.0.0.1:${gateway.port}`);
  session.on('error', () => {});
  open.push(() => session.destroy());
  const call = session.request({
    ':method': 'POST',
    ':path': '/s/m',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  call.on('error', () => {});
  call.end(Buffer.alloc(5));
  await once(call, 'data');
  const trailers = once(call, 'trailers');
  await gateway.engine.drain(DRAIN_MS);
  expect((await trailers)[0]).toMatchObject({ 'grpc-status': '14' });
});

it('a request that is answered in time notices nothing', async () => {
  const slow = await upstream((connection) => void setTimeout(() => answering()(connection), 300));
  const gateway = await gatewayTo({ stable: [slow] });
  const client = connectRaw(gateway.port);
  client.send(get());
  await until(() => slow.received() !== '');
  await gateway.engine.drain(10_000);
  expect(await client.closed()).toMatch(/^HTTP\/1\.1 200 .*ok$/s);
});

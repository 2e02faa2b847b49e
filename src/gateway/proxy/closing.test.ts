import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { until } from '../../lib/until.fixture.ts';
import { limits } from '../limits.ts';
import {
  connectRaw,
  type RawClient,
  startGateway,
  startUpstream,
  type TestGateway,
  type TestUpstream,
} from '../testing/harness.ts';
import { closedAfterEach } from '../testing/opened.ts';

const open = closedAfterEach();

async function gatewayTo(upstream: { port: number }): Promise<TestGateway> {
  const gateway = await startGateway({ stable: [upstream as TestUpstream] });
  open.push(() => gateway.close());
  return gateway;
}

describe('the end of a connection', () => {
  it('waits for a slow reader: no last answer is cut short (RFC 9112 9.6)', async () => {
    const origin = http.createServer((request, response) => {
      const size = Number(request.url?.slice(1));
      response.writeHead(200, { 'content-length': size }).end(Buffer.alloc(size, 97));
    });
    origin.listen(0, '127.0.0.1');
    await once(origin, 'listening');
    open.push(() => origin.close());
    const gateway = await gatewayTo(origin.address() as net.AddressInfo);
    // What the kernel takes is not known beforehand: some of these sizes end in the gateway's own queue.
    const sizes = Array.from({ length: 40 }, (_, i) => 200_000 * (i + 1));
    const whole = await Promise.all(
      sizes.map(async (size) => {
        const { socket } = connectRaw(gateway.port);
        socket.removeAllListeners('data').pause();
        socket.write(`GET /${size} HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n`);
        // Longer than the gateway lingers for clients that only have to close.
        await new Promise((resolve) => setTimeout(resolve, limits.lingerMs + 300));
        let got = 0;
        socket.on('data', (piece: Buffer) => {
          got += piece.length;
        });
        socket.resume();
        await once(socket, 'close');
        return got >= size;
      }),
    );
    expect(whole.filter((one) => !one)).toEqual([]);
  });
});

describe('a pipeline of requests that the gateway answers itself', () => {
  const BURST = 640;
  const burst = 'GET / HTTP/1.1\r\nHost: svc\r\n\r\n'.repeat(BURST);

  async function limited(): Promise<RawClient> {
    const rateLimit = { perSecond: 1, burst: 1 };
    const gateway = await startGateway({ stable: [], route: { rateLimit } });
    open.push(() => gateway.close());
    return connectRaw(gateway.port, { allowHalfOpen: true });
  }

  const answers = (text: string) => text.match(/HTTP\/1\.1 \d{3}/g)?.length ?? 0;

  it('is answered over many turns of the event loop, so that others have theirs', async () => {
    const client = await limited();
    let turns = 0;
    client.send(burst);
    for (; answers(client.received()) < BURST; turns++) await nextTurn();
    expect(turns).toBeGreaterThanOrEqual(BURST / limits.requestsPerTurn);
    client.socket.destroy();
  });

  it('is answered whole, with a partial head behind it and when the client ends its side at once', async () => {
    const whole = await limited();
    whole.socket.end(burst);
    expect(answers(await whole.closed())).toBe(BURST);

    const partial = await limited();
    partial.send(`${burst}GET /last HTTP/1.1\r\nHo`);
    await until(() => answers(partial.received()) === BURST);
    partial.socket.end('st: svc\r\n\r\n');
    expect(answers(await partial.closed())).toBe(BURST + 1);
  });
});

it('leaves the answer to a client that goes on sending after it (RFC 9112 9.6)', async () => {
  const upstream = await startUpstream((connection) => {
    if (connection.answers++ === 0)
      connection.socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno');
  });
  open.push(() => upstream.close());
  const gateway = await gatewayTo(upstream);
  const { socket, received } = connectRaw(gateway.port, { allowHalfOpen: true });
  let broken = false;
  socket.on('error', () => {
    broken = true;
  });
  socket.pause();
  socket.write('POST / HTTP/1.1\r\nHost: svc\r\nContent-Length: 100000000\r\n\r\n');
  for (const endMs = Date.now() + 2 * limits.lingerMs; Date.now() < endMs; ) {
    socket.write(Buffer.alloc(10_000));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(broken).toBe(false);
  socket.resume();
  socket.end();
  await once(socket, 'close');
  expect(received()).toMatch(/^HTTP\/1\.1 413 .*Connection: close\r\n.*no$/s);
});

const UPGRADE = 'GET /chat HTTP/1.1\r\nHost: svc\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';

describe('a WebSocket tunnel', () => {
  async function tunnel() {
    const upstream = await startUpstream((connection) => {
      if (connection.answers++ === 0) connection.socket.write(SWITCH);
    });
    open.push(() => upstream.close());
    const gateway = await gatewayTo(upstream);
    const client = connectRaw(gateway.port, { allowHalfOpen: true });
    return { upstream, gateway, client };
  }

  it('goes on towards the upstream after the upstream has ended its side', async () => {
    const { upstream, client } = await tunnel();
    client.send(UPGRADE);
    await client.until(/\r\n\r\n$/);
    const [connection] = upstream.connections;
    connection!.socket.allowHalfOpen = true;
    connection!.socket.end('bye');
    await once(client.socket, 'end');
    expect(client.received()).toMatch(/bye$/);
    const last = once(connection!.socket, 'end');
    client.socket.end('still here');
    await last;
    expect(connection!.received).toMatch(/still here$/);
  });

  it('goes on towards the client after the client has ended its side, also when that was before 101', async () => {
    const { upstream, client } = await tunnel();
    upstream.script = () => {};
    client.socket.end(`${UPGRADE}early`);
    while (!/\r\n\r\n$/.test(upstream.received())) await new Promise((resolve) => setImmediate(resolve));
    const [connection] = upstream.connections;
    connection!.socket.allowHalfOpen = true;
    const last = once(connection!.socket, 'end');
    connection!.socket.write(SWITCH);
    await last;
    expect(connection!.received).toMatch(/early$/);
    connection!.socket.end('to the end');
    expect(await client.closed()).toMatch(/to the end$/);
  });

  it('takes what a client sent ahead of 101, more than is kept at once', async () => {
    const { upstream, client } = await tunnel();
    upstream.script = () => {};
    const ahead = 'x'.repeat(4 * limits.pipelinedBytes);
    client.send(UPGRADE + ahead);
    while (upstream.connections.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const [connection] = upstream.connections;
    connection!.socket.write(SWITCH);
    await client.until(/101 /);
    while (!upstream.received().endsWith(ahead)) await new Promise((resolve) => setImmediate(resolve));
    client.socket.destroy();
  });
});

import { join } from 'node:path';
import tls from 'node:tls';
import { describe, expect, it } from 'vitest';
import { answering, connectRaw, get, startGateway, startUpstream } from '../testing/harness.ts';
import { refuseFastReads } from './fast-path.ts';

/** Where sockets cannot read into our memory, 'data' events must do the same. This file has its own process. */
describe('without reads into memory of our own', () => {
  it('serves pipelines, large bodies and tunnels the same', async () => {
    for (const kind of ['accepted', 'connecting', 'secure'] as const) refuseFastReads(kind);
    const upstream = await startUpstream(
      answering((index) => `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${index % 10}`),
    );
    const gateway = await startGateway({ stable: [upstream] });
    const client = connectRaw(gateway.port);
    for (let i = 0; i < 9; i++) client.send(`GET /${i} HTTP/1.1\r\nHost: svc\r\n\r\n`);
    client.send(get());
    const bodies = (await client.closed()).match(/\r\n\r\n\d/g)?.map((text) => text.slice(4));
    expect(bodies).toEqual([...'0123456789']);

    const body = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => (i * 7 + (i >> 9)) & 0x7f));
    upstream.script = (connection) => {
      const at = connection.received.indexOf('\r\n\r\n') + 4;
      if (at < 4 || connection.received.length - at < body.length || connection.answers > 0) return;
      connection.answers = 1;
      connection.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      connection.socket.write(Buffer.from(connection.received.slice(at), 'latin1'));
    };
    for (const connection of upstream.connections) connection.socket.destroy();
    const second = connectRaw(gateway.port);
    second.send(`PUT / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`);
    second.socket.write(body);
    const answer = await second.closed();
    expect(answer.endsWith(body.toString('latin1'))).toBe(true);
    await gateway.close();
    await upstream.close();
  });

  it('serves TLS by events', async () => {
    const upstream = await startUpstream(answering());
    const certificate = (ending: string) => join(import.meta.dirname, `../testing/certificates/one.${ending}`);
    const files = { certFile: certificate('pem'), keyFile: certificate('key') };
    const tlsRoute = { certificates: [{ names: [], ...files }] };
    const gateway = await startGateway({ stable: [upstream], route: { tls: tlsRoute } });
    const client = tls.connect({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false });
    client.write(get());
    const text = Buffer.concat(await client.toArray()).toString('latin1');
    expect(text).toMatch(/^HTTP\/1\.1 200 OK.*ok$/s);
    await gateway.close();
    await upstream.close();
  });

  it('serves others while 2,000 clients hold back their heads', async () => {
    const upstream = await startUpstream(answering());
    const gateway = await startGateway({ stable: [upstream] });
    const slow = Array.from({ length: 2000 }, () => connectRaw(gateway.port));
    for (const client of slow) client.send('GET / HTTP/1.1\r\nHost: s');
    for (let i = 0; i < 100; i++) expect(await gateway.exchange(get())).toMatch(/ok$/);
    for (const client of slow) client.socket.destroy();
    await gateway.close();
    await upstream.close();
  });
});

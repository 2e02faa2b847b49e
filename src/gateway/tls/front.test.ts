import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, utimesSync } from 'node:fs';
import http2 from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import type { TlsRoute } from '../../traffic/model.ts';
import { answering, startGateway, startUpstream, type TestGateway, type TestUpstream } from '../testing/harness.ts';

const DIR = join(import.meta.dirname, '../testing/certificates');
const file = (name: string) => join(DIR, name);
const pem = (name: string) => readFileSync(file(name));
const certificate = (name: string, names: string[]) => ({
  names,
  certFile: file(`${name}.pem`),
  keyFile: file(`${name}.key`),
});
const TWO: TlsRoute = { certificates: [certificate('one', ['one.test']), certificate('wild', ['*.wild.test'])] };

let gateway: TestGateway;
let upstream: TestUpstream;

async function start(route: TlsRoute): Promise<void> {
  upstream = await startUpstream(answering());
  gateway = await startGateway({ stable: [upstream], route: { tls: route } });
}

afterEach(async () => {
  await gateway.close();
  await upstream.close();
});

async function dial(options: tls.ConnectionOptions): Promise<tls.TLSSocket> {
  const socket = tls.connect({
    port: gateway.port,
    host: '127.0.0.1',
    ca: pem('ca.pem'),
    servername: 'one.test',
    ...options,
  });
  await once(socket, 'secureConnect');
  return socket;
}

async function ask(socket: tls.TLSSocket): Promise<string> {
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.write('GET / HTTP/1.1\r\nHost: svc\r\nConnection: close\r\n\r\n');
  await once(socket, 'close');
  return text;
}

describe('TLS termination', () => {
  it('serves HTTP/1.1 with the certificate of the name that is asked for', async () => {
    await start(TWO);
    for (const [servername, expected] of [
      ['one.test', 'one'],
      ['a.wild.test', 'wild'],
    ] as const) {
      const socket = await dial({ servername });
      expect(socket.getPeerCertificate().subject.CN).toBe(expected);
      expect(await ask(socket)).toMatch(/^HTTP\/1\.1 200 OK.*ok$/s);
    }
    expect(upstream.received()).toContain('X-Forwarded-Proto: https');
  });

  it('speaks HTTP/2 to clients that prefer it', async () => {
    await start(TWO);
    const session = http2.connect(`https://127.0.0.1:${gateway.port}`, { ca: pem('ca.pem'), servername: 'one.test' });
    const stream = session.request({ ':path': '/x' });
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    expect(headers[':status']).toBe(200);
    expect(String((await stream.toArray())[0])).toBe('ok');
    session.close();
  });

  it('takes renewed certificates without dropping open connections', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'davy-tls-'));
    const put = (name: string) => {
      copyFileSync(file(`${name}.pem`), join(folder, 'c.pem'));
      copyFileSync(file(`${name}.key`), join(folder, 'c.key'));
    };
    put('one');
    const route: TlsRoute = {
      certificates: [{ names: [], certFile: join(folder, 'c.pem'), keyFile: join(folder, 'c.key') }],
    };
    await start(route);
    const old = await dial({});
    put('stranger');
    utimesSync(join(folder, 'c.pem'), 1, 1);
    await gateway.apply({ stable: [upstream], route: { tls: route, timeoutMs: 4000 } });
    const fresh = await dial({ servername: 'stranger.test' });
    expect(fresh.getPeerCertificate().subject.CN).toBe('stranger');
    expect(await ask(old)).toMatch(/ok$/);
    fresh.destroy();
  });

  it('looks at the files by itself: a renewed certificate needs no new table', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'davy-tls-'));
    const put = (name: string) => {
      copyFileSync(file(`${name}.pem`), join(folder, 'c.pem'));
      copyFileSync(file(`${name}.key`), join(folder, 'c.key'));
    };
    put('one');
    await start({ certificates: [{ names: [], certFile: join(folder, 'c.pem'), keyFile: join(folder, 'c.key') }] });
    const held = await dial({});
    put('stranger');
    utimesSync(join(folder, 'c.pem'), 1, 1);
    for (let shown = ''; shown !== 'stranger'; ) {
      const socket = await dial({ servername: 'stranger.test', rejectUnauthorized: false });
      shown = socket.getPeerCertificate().subject.CN as string;
      socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    expect(await ask(held)).toMatch(/ok$/);
  });

  it('refuses a table whose certificate cannot be read, and keeps the old one', async () => {
    await start(TWO);
    const broken: TlsRoute = { certificates: [{ names: [], certFile: file('one.pem'), keyFile: file('wild.key') }] };
    await expect(gateway.apply({ stable: [upstream], route: { tls: broken } })).rejects.toMatchObject({
      code: 'invalid-table',
    });
    expect(await ask(await dial({}))).toMatch(/ok$/);
  });

  it('closes on plain HTTP', async () => {
    await start(TWO);
    expect(await gateway.exchange('GET / HTTP/1.1\r\nHost: svc\r\n\r\n')).not.toContain('HTTP/1.1 200');
    expect(upstream.received()).toBe('');
  });
});

describe('mutual TLS', () => {
  const mutual: TlsRoute = { ...TWO, clientCaFile: file('ca.pem'), allowedSans: ['spiffe://test/web'] };
  const as = (name: string) => ({ cert: pem(`${name}.pem`), key: pem(`${name}.key`) });

  async function outcome(options: tls.ConnectionOptions): Promise<string> {
    try {
      const socket = await dial(options);
      socket.on('error', () => {});
      return await ask(socket);
    } catch {
      return '';
    }
  }

  it('serves a client with an allowed name, and nobody else', async () => {
    await start(mutual);
    expect(await outcome(as('client'))).toMatch(/200 OK/);
    expect(await outcome({})).not.toContain('200 OK');
    expect(await outcome(as('stranger'))).not.toContain('200 OK');
    expect(await outcome(as('rogue'))).not.toContain('200 OK');
    expect(upstream.received().match(/GET \//g)).toHaveLength(1);
  });
});

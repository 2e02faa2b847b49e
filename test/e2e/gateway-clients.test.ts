import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import type net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type TestGateway } from '../../src/gateway/testing/harness.ts';
import type { ServiceRoute } from '../../src/traffic/model.ts';
import { findProgram, mustHave } from '../engines.ts';
import { file, type Origin, startOrigin } from '../gateway/origin.ts';

const curlPath = findProgram('curl');
const wrkPath = findProgram('wrk');
const CERTIFICATES = join(import.meta.dirname, '../../src/gateway/testing/certificates');
const pem = (name: string) => join(CERTIFICATES, name);
const TLS = { certificates: [{ names: [], certFile: pem('one.pem'), keyFile: pem('one.key') }] };
const MUTUAL = { ...TLS, clientCaFile: pem('ca.pem') };

interface Ran {
  code: number;
  out: string;
}

function run(program: string, args: string[], input?: Buffer): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { encoding: 'utf8', timeout: 20_000, maxBuffer: 32 * 1024 * 1024 } as const;
    const child = execFile(program, args, options, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, out: out + err }),
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

let origin: Origin;
let dir: string;
const gateways: TestGateway[] = [];

beforeAll(async () => {
  origin = await startOrigin('<!doctype html><title>t</title>');
  dir = mkdtempSync(join(tmpdir(), 'davy-clients-'));
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.close();
  origin.close();
  rmSync(dir, { recursive: true, force: true });
});

async function gatewayWith(route: Partial<ServiceRoute> = {}): Promise<TestGateway> {
  const gateway = await startGateway({ stable: [{ port: origin.port } as never], route });
  gateways.push(gateway);
  origin.seen.length = 0;
  return gateway;
}

describe.skipIf(!mustHave(curlPath, 'curl'))('curl', () => {
  /** Fails on an HTTP error only where `-f` is given; never reads the user's own settings. */
  const curl = (...args: string[]) =>
    run(curlPath as string, ['-q', '-sS', '--noproxy', '', '--max-time', '15', ...args]);
  const url = (gateway: TestGateway, path: string, scheme = 'http') =>
    `${scheme}://${scheme === 'https' ? 'one.test' : '127.0.0.1'}:${gateway.port}${path}`;
  const secure = (gateway: TestGateway) => [
    '--cacert',
    pem('ca.pem'),
    '--resolve',
    `one.test:${gateway.port}:127.0.0.1`,
  ];
  const echoed = (text: string) =>
    JSON.parse(/\{"method".*\}/.exec(text)?.[0] ?? 'null') as {
      method: string;
      httpVersion: string;
      bytes: number;
      sha256: string;
      headers: Record<string, string>;
    };

  it('HTTP/1.1: two requests over one connection, HEAD, a large answer', async () => {
    const gateway = await gatewayWith();
    const two = await curl('-w', '%{http_version} %{num_connects}\n', url(gateway, '/echo'), url(gateway, '/echo'));
    expect(two.out.match(/1\.1 \d/g)).toEqual(['1.1 1', '1.1 0']);
    const head = await curl('-I', url(gateway, '/file'));
    expect(head.out).toMatch(/^HTTP\/1\.1 200 OK\r\n.*content-length: 5000000\r\n/is);
    const target = join(dir, 'file');
    expect((await curl('-f', '-o', target, url(gateway, '/file'))).code).toBe(0);
    expect(readFileSync(target).equals(file)).toBe(true);
  });

  it('HTTP/1.0', async () => {
    const gateway = await gatewayWith();
    const answer = await curl('-0', '-i', '-d', 'hello', url(gateway, '/echo'));
    expect(answer.out).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer.out).not.toMatch(/transfer-encoding/i);
    expect(echoed(answer.out)).toMatchObject({ method: 'POST', bytes: 5, headers: { via: '1.0 davy' } });
  });

  it('an upload that waits for 100, and one that is refused before its body', async () => {
    const gateway = await gatewayWith();
    const upload = join(dir, 'upload');
    writeFileSync(upload, file);
    const sent = await curl(
      '-v',
      '-T',
      upload,
      '-H',
      'Expect: 100-continue',
      '--expect100-timeout',
      '10',
      url(gateway, '/echo'),
    );
    expect(sent.out).toContain('< HTTP/1.1 100 Continue');
    expect(sent.out).toContain(createHash('sha256').update(file).digest('hex'));
    expect(origin.seen).toEqual(['PUT /echo expects 100-continue']);
    const refused = await curl(
      '-v',
      '-T',
      upload,
      '-H',
      'Expect: 100-continue',
      '--expect100-timeout',
      '10',
      url(gateway, '/refuse'),
    );
    expect(refused.out).toContain('< HTTP/1.1 413');
    expect(refused.out).not.toContain('100 Continue');
    expect(refused.out).toContain('too much');
  });

  it('a chunked upload of unknown length', async () => {
    const gateway = await gatewayWith();
    const { out } = await run(curlPath as string, ['-q', '-sS', '-T', '-', url(gateway, '/echo')], file);
    expect(echoed(out)).toMatchObject({ bytes: file.length, sha256: createHash('sha256').update(file).digest('hex') });
    expect(echoed(out).headers['transfer-encoding']).toBe('chunked');
  });

  it('a stream of chunks with a trailer', async () => {
    const gateway = await gatewayWith();
    const { out } = await curl('--raw', '-N', url(gateway, '/stream'));
    expect(out).toMatch(/piece 1\n.*piece 5\n.*0\r\nx-sum: 5\r\n\r\n$/s);
  });

  it('HTTP/2 with prior knowledge', async () => {
    const gateway = await gatewayWith();
    const { out } = await curl(
      '--http2-prior-knowledge',
      '-d',
      'hello',
      '-w',
      '\nversion %{http_version}',
      url(gateway, '/echo'),
    );
    expect(out).toContain('version 2');
    expect(out).toContain('"bytes":5');
    expect(out).toContain('"httpVersion":"1.1"');
  });

  it('HTTP/2 over TLS, HTTP/1.1 over TLS, and a large upload over HTTP/2', async () => {
    const gateway = await gatewayWith({ tls: TLS });
    const version = ['-w', '\nversion %{http_version}'];
    const second = await curl(...secure(gateway), '--http2', ...version, url(gateway, '/stream', 'https'));
    expect(second.out).toMatch(/piece 5\n\nversion 2$/);
    const first = await curl(...secure(gateway), '--http1.1', ...version, url(gateway, '/stream', 'https'));
    expect(first.out).toMatch(/piece 5\n\nversion 1\.1$/);
    const upload = join(dir, 'upload-2');
    writeFileSync(upload, file);
    const sent = await curl(...secure(gateway), '--http2', '-T', upload, url(gateway, '/echo', 'https'));
    expect(echoed(sent.out)).toMatchObject({ bytes: file.length, headers: { 'x-forwarded-proto': 'https' } });
    const down = join(dir, 'down-2');
    await curl(...secure(gateway), '--http2', '-o', down, url(gateway, '/file', 'https'));
    expect(readFileSync(down).equals(file)).toBe(true);
  });

  it('mutual TLS: with a certificate of the CA, and without', async () => {
    const gateway = await gatewayWith({ tls: MUTUAL });
    const shown = ['--cert', pem('client.pem'), '--key', pem('client.key')];
    expect((await curl('-f', ...secure(gateway), ...shown, url(gateway, '/', 'https'))).code).toBe(0);
    expect((await curl('-f', ...secure(gateway), url(gateway, '/', 'https'))).code).not.toBe(0);
  });

  it('asking for HTTP/2 by Upgrade stays with HTTP/1.1', async () => {
    const gateway = await gatewayWith();
    const { out } = await curl('--http2', '-w', '\nversion %{http_version}', url(gateway, '/echo'));
    expect(out).toContain('version 1.1');
    expect(echoed(out).headers.upgrade).toBeUndefined();
  });

  it('as a proxy for http: absolute-form, whose authority becomes Host', async () => {
    const gateway = await gatewayWith();
    const { out } = await curl('--proxy', `http://127.0.0.1:${gateway.port}`, 'http://shop.test:81/echo?a=b');
    expect(echoed(out).headers).toMatchObject({ host: 'shop.test:81', 'x-forwarded-host': 'shop.test:81' });
    expect(origin.seen).toEqual(['GET /echo?a=b HTTP/1.1']);
  });

  describe('through CONNECT', () => {
    const tunnelTo = (targets: string[], more: Partial<ServiceRoute> = {}) =>
      gatewayWith({
        connect: { allow: targets, privateAddresses: true, maxTunnels: 10, connectMs: 2000, idleMs: 60_000 },
        ...more,
      });

    it('to an http server', async () => {
      const at = `127.0.0.1:${origin.port}`;
      const gateway = await tunnelTo([at]);
      const proxy = ['-p', '-x', `http://127.0.0.1:${gateway.port}`];
      const { out } = await curl(...proxy, '-v', '-d', 'hello', `http://${at}/echo`);
      expect(out).toMatch(/> CONNECT 127\.0\.0\.1:\d+ HTTP\/1\.1\r?\n.*< HTTP\/1\.1 200 OK/s);
      expect(echoed(out).headers.via).toBeUndefined();
      const target = join(dir, 'tunnelled');
      await curl(...proxy, '-o', target, `http://${at}/file`);
      expect(readFileSync(target).equals(file)).toBe(true);
      // An HTTP/1.0 proxy request is answered all the same.
      expect((await curl(...proxy, '-f', '--proxy1.0', `127.0.0.1:${gateway.port}`, `http://${at}/`)).code).toBe(0);
    });

    it('to an https server, whose certificate curl sees itself; also from behind a TLS listener', async () => {
      const server = https.createServer(
        { cert: readFileSync(pem('one.pem')), key: readFileSync(pem('one.key')) },
        (_request, response) => response.end('inside'),
      );
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as net.AddressInfo;
      const ask = (...proxy: string[]) =>
        curl(
          '--cacert',
          pem('ca.pem'),
          '--connect-to',
          `one.test:443:localhost:${port}`,
          ...proxy,
          'https://one.test/',
        );
      const plain = await tunnelTo([`localhost:${port}`]);
      expect((await ask('-x', `http://127.0.0.1:${plain.port}`)).out).toBe('inside');
      const behindTls = await tunnelTo([`localhost:${port}`], { tls: TLS });
      const outer = ['--proxy-insecure', '-x', `https://127.0.0.1:${behindTls.port}`];
      expect((await ask(...outer)).out).toBe('inside');
      server.closeAllConnections();
      server.close();
    });

    it('refused: another target, and every target where none is listed', async () => {
      const gateway = await tunnelTo(['127.0.0.1:1']);
      const code = ['-w', '%{http_connect}', '-o', join(dir, 'none')];
      const at = `http://127.0.0.1:${origin.port}/`;
      const denied = await curl('-p', '-x', `http://127.0.0.1:${gateway.port}`, ...code, at);
      expect(denied).toMatchObject({ code: 56, out: expect.stringContaining('403') });
      const gone = await curl('-p', '-x', `http://127.0.0.1:${gateway.port}`, ...code, 'http://127.0.0.1:1/');
      expect(gone).toMatchObject({ code: 56, out: expect.stringContaining('502') });
      const none = await gatewayWith();
      const refused = await curl('-p', '-x', `http://127.0.0.1:${none.port}`, ...code, at);
      expect(refused).toMatchObject({ code: 56, out: expect.stringContaining('501') });
    });
  });
});

describe.skipIf(!mustHave(wrkPath, 'wrk'))('wrk', () => {
  it.each([
    ['plain', {}, 'http'],
    ['over TLS', { tls: TLS }, 'https'],
  ] as const)('%s: no socket error, no answer but 200, every request counted', async (_what, route, scheme) => {
    const gateway = await gatewayWith(route as Partial<ServiceRoute>);
    const args = ['-t', '1', '-c', '32', '-d', '2s', `${scheme}://127.0.0.1:${gateway.port}/style.css`];
    const { out, code } = await run(wrkPath as string, args);
    expect(code).toBe(0);
    expect(out).not.toMatch(/Socket errors|Non-2xx/);
    const requests = Number(/(\d+) requests in/.exec(out)?.[1]);
    expect(requests).toBeGreaterThan(100);
    const [instance] = gateway.engine.counters().services[0]!.instances;
    // Those in flight when wrk left count as well.
    expect(instance!.outcome.status2xx).toBeGreaterThanOrEqual(requests);
    expect(instance!.outcome).toMatchObject({ status5xx: 0, timeouts: 0, resets: 0 });
  });
});

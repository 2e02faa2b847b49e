import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testPorts } from '../../src/lib/test-port.fixture.ts';
import { startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { QUICK_POLICY, type Running, up } from './harness.ts';

/** Programs with one port, each of which speaks one protocol and nothing else. */
const PROGRAMS = {
  orders: `
const grpc = require(${JSON.stringify(createRequire(import.meta.url).resolve('@grpc/grpc-js'))});
const bytes = (x) => x;
const how = { requestStream: false, responseStream: false, requestSerialize: bytes, requestDeserialize: bytes,
  responseSerialize: bytes, responseDeserialize: bytes };
const server = new grpc.Server();
server.addService({
  check: { path: '/grpc.health.v1.Health/Check', ...how },
  version: { path: '/shop.Orders/Version', ...how },
}, {
  check: (call, answer) => answer(null, Buffer.from([8, process.env.SERVING ? 1 : 2])),
  version: (call, answer) => answer(null, Buffer.from(process.env.DAVY_VERSION)),
});
server.bindAsync('127.0.0.1:' + process.env.PORT, grpc.ServerCredentials.createInsecure(), () => {});`,
  pages: `
require('node:http2').createServer((req, res) => res.end(process.env.DAVY_VERSION))
  .listen(Number(process.env.PORT), '127.0.0.1');`,
  queue: `
require('node:net').createServer((socket) => socket.on('error', () => {}).end('ready\\n'))
  .listen(Number(process.env.PORT), '127.0.0.1');`,
};

const specOf = (folder: string, ports: { orders: number; pages: number; queue: number }) => {
  const run = (name: string) => `run: "node '${join(folder, `${name}.cjs`)}'", replicas: 2`;
  const service = (name: 'orders' | 'pages' | 'queue', lines: string[], versions: string[]) =>
    [
      `  ${name}:`,
      `    listen: ${ports[name]}`,
      '    stable: v1',
      '    release: quick',
      ...lines.map((line) => `    ${line}`),
      '    versions:',
      ...versions.map((line) => `      ${line}`),
    ].join('\n');
  const serving = 'env: { SERVING: yes }';
  return `davy: 1
system: e2e
services:
${service(
  'orders',
  ['traffic: { protocol: grpc }', 'health: { every: 200ms, startWithin: 8s }'],
  [`v1: { ${run('orders')}, ${serving} }`, `v2: { ${run('orders')}, ${serving} }`, `v3: { ${run('orders')} }`],
)}
${service(
  'pages',
  ['traffic: { protocol: h2c }', 'health: { path: /up, every: 200ms, startWithin: 20s }'],
  [`v1: { ${run('pages')} }`, `v2: { ${run('pages')} }`],
)}
${service('queue', ['health: { tcp: true, every: 200ms, startWithin: 20s }'], [`v1: { ${run('queue')} }`])}
policies:
  quick:
${QUICK_POLICY.trim()
  .split('\n')
  .map((line) => `    ${line}`)
  .join('\n')}
`;
};

describe('services that do not speak HTTP/1.1', () => {
  let folder: string;
  let ports: number[];
  let davy: Running;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'davy-protocols-'));
    for (const [name, program] of Object.entries(PROGRAMS)) writeFileSync(join(folder, `${name}.cjs`), program);
    ports = await testPorts(3);
    const [orders, pages, queue] = ports as [number, number, number];
    davy = await up(specOf(folder, { orders, pages, queue }));
  });
  afterAll(async () => {
    await davy.end();
    rmSync(folder, { recursive: true, force: true });
  });

  const readyOf = (name: string, version: string) =>
    davy.until(
      `${name} ${version} is ready`,
      (fleet) => {
        const instances = fleet.services.find((one) => one.name === name)?.instances ?? [];
        return instances.filter((one) => one.version === version && one.phase === 'ready').length === 2;
      },
      60_000,
    );

  it('are ready by a check in their own protocol: gRPC, cleartext HTTP/2, TCP', async () => {
    for (const name of ['orders', 'pages', 'queue']) await readyOf(name, 'v1');
  });

  it('a gRPC service and an h2c service are released under the traffic of real clients', async () => {
    const [orders, pages] = ports as [number, number];
    const client = new grpc.Client(`127.0.0.1:${orders}`, grpc.credentials.createInsecure());
    const raw = (message: Buffer) => message;
    const answers = new Map<string, number>();
    const note = (answer: string) => answers.set(answer, (answers.get(answer) ?? 0) + 1);
    const calls = setInterval(() => {
      client.makeUnaryRequest('/shop.Orders/Version', raw, raw, Buffer.from('?'), (error, value) =>
        note(error === null ? String(value) : `${grpc.status[error.code]} ${error.details}`),
      );
    }, 10);
    const load = startLoad(steadyPlan({ url: `http://127.0.0.1:${pages}/`, ratePerSecond: 100 }));
    const release = (name: string) =>
      davy.davy('release', name, 'v2', '--wait', '--timeout', '100s', '--reason', 'protocols');
    const released = await Promise.all([release('orders'), release('pages')]);
    clearInterval(calls);
    // A call that the client itself cuts by closing is no answer.
    const answered = [...answers.keys()].sort();
    client.close();
    const { counts } = await load.stop();
    for (const { code, stdout, stderr } of released) expect(code, stdout + stderr).toBe(0);
    expect(answered).toEqual(['v1', 'v2']);
    expect(counts.errors).toEqual({});
  });

  it('a version that says it cannot serve is told in the words of its check, while it starts and when its release fails', async () => {
    const says = 'the health check says that the server is NOT_SERVING';
    const { code, stdout } = await davy.davy('release', 'orders', 'v3', '--wait', '--timeout', '60s', '--reason', 'x');
    expect(code).toBe(3);
    expect(stdout).toMatch(/0 of 2 instances of v3 were ready after 8 s/);
    expect(stdout).toContain(says);
    expect((await davy.davy('status')).stdout).toContain(says);
    // Told before the time of a start was over, too.
    expect(davy.said()).toContain(`orders/v3/1: starting: ${says}`);
  });

  it('a gRPC call to a service that declares HTTP/1.1 is UNIMPLEMENTED, and says what to declare', async () => {
    const client = new grpc.Client(`127.0.0.1:${ports[2]}`, grpc.credentials.createInsecure());
    const raw = (message: Buffer) => message;
    const error = await new Promise<grpc.ServiceError | null>((resolve) =>
      client.makeUnaryRequest('/shop.Orders/Version', raw, raw, Buffer.from('?'), resolve),
    );
    client.close();
    expect(error?.code).toBe(grpc.status.UNIMPLEMENTED);
    expect(error?.details).toContain('protocol: grpc');
  });
});

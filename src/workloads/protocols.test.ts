import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../lib/clock.ts';
import { until } from '../lib/until.fixture.ts';
import type { HealthProbe, Spec } from '../spec/model.ts';
import { shopSpec } from './shop-spec.fixture.ts';
import { openWorkloads } from './supervisor.ts';
import type { InstanceStatus, Workloads } from './workloads.ts';

/**
 * Real programs with one port, each of which speaks one protocol and nothing else. While a file named `broken` lies beside them they say
 * in their protocol that they cannot serve.
 */
const programs = {
  grpc: `
const grpc = require(${JSON.stringify(createRequire(import.meta.url).resolve('@grpc/grpc-js'))});
const bytes = (x) => x;
const how = { requestStream: false, responseStream: false, requestSerialize: bytes, requestDeserialize: bytes,
  responseSerialize: bytes, responseDeserialize: bytes };
const server = new grpc.Server();
server.addService({ check: { path: '/grpc.health.v1.Health/Check', ...how } }, {
  check: (call, answer) => answer(null, Buffer.from([8, broken() ? 2 : 1])),
});
server.bindAsync('127.0.0.1:' + process.env.PORT, grpc.ServerCredentials.createInsecure(), () => {});`,
  h2c: `
require('node:http2').createServer((_, res) => res.writeHead(broken() ? 503 : 204).end())
  .listen(Number(process.env.PORT), '127.0.0.1');`,
  tcp: `
if (!broken()) require('node:net').createServer((socket) => socket.on('error', () => {}))
  .listen(Number(process.env.PORT), '127.0.0.1');
else setInterval(() => {}, 1000);`,
};

let folder: string;
const opened: Workloads[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'davy-protocols-'));
  for (const [name, program] of Object.entries(programs)) {
    const text = `const broken = () => require('node:fs').existsSync('broken');\n${program}`;
    writeFileSync(join(folder, `${name}.cjs`), text);
  }
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((workloads) => workloads.stop()));
  rmSync(folder, { recursive: true, force: true });
});

function open(program: keyof typeof programs, probe: HealthProbe, startWithinMs = 60_000): Workloads {
  const spec: Spec = shopSpec([process.execPath, `${program}.cjs`]);
  const { shop } = spec.services;
  shop!.health = { ...shop!.health, probe, startWithinMs };
  delete shop!.versions.v2;
  shop!.versions.v1!.replicas = 1;
  const workloads = openWorkloads({
    ...{ spec, runDir: join(folder, 'run'), logDir: join(folder, 'log'), baseDir: folder },
    ...{ clock: systemClock, log: () => {}, random: () => 0.5, graceMs: 2_000, drainMs: 10 },
  });
  opened.push(workloads);
  return workloads;
}

const only = (workloads: Workloads): InstanceStatus => workloads.list()[0]!;

describe.each([
  ['grpc', { kind: 'grpc', service: '' }, 'the health check says that the server is NOT_SERVING'],
  ['h2c', { kind: 'h2c', path: '/q/health' }, 'GET /q/health answered 503'],
] as const)('a program whose only port speaks %s', (program, probe, says) => {
  test('becomes ready', async () => {
    const workloads = open(program, probe);
    await workloads.start();
    expect(only(workloads)).toMatchObject({ phase: 'ready', problem: null });
  });

  test('that cannot serve says so in the words of its check while it starts, and is left running', async () => {
    writeFileSync(join(folder, 'broken'), '');
    const workloads = open(program, probe);
    const started = workloads.start();
    await until(() => only(workloads).problem === says);
    const { pid } = only(workloads);
    expect(only(workloads)).toMatchObject({ phase: 'starting', restarts: 0 });
    rmSync(join(folder, 'broken'));
    await started;
    expect(only(workloads)).toMatchObject({ phase: 'ready', pid, problem: null });
  });
});

describe('a program whose only port speaks TCP', () => {
  test('becomes ready when it accepts a connection', async () => {
    const workloads = open('tcp', { kind: 'tcp' });
    await workloads.start();
    expect(only(workloads)).toMatchObject({ phase: 'ready', problem: null });
  });

  test('that never listens is started anew, and says before and after what its check saw', async () => {
    writeFileSync(join(folder, 'broken'), '');
    const workloads = open('tcp', { kind: 'tcp' }, 5_000);
    const told = new Set<string | null>();
    workloads.subscribe(() => told.add(only(workloads).problem));
    await workloads.start();
    expect(told).toContain('nothing listens on its port');
    await until(() => only(workloads).restarts > 0);
    expect(told).toContain('did not answer for 5 s: nothing listens on its port');
  });
});

test.each([
  ['grpc', { kind: 'http1', path: '/q/health' }, 'HTTP/1.1'],
  ['h2c', { kind: 'http1', path: '/q/health' }, 'HTTP/1.1'],
] as const)('a check in the wrong protocol names it: %s, asked by %j', async (program, probe, missing) => {
  const workloads = open(program, probe, 1_000);
  await workloads.start();
  const says = `what listens on its port does not speak ${missing} (\`traffic.protocol\` says what the instances speak)`;
  // It answers, so it does not hang and is not started again and again.
  expect(only(workloads)).toMatchObject({
    phase: 'starting',
    restarts: 0,
    problem: `not ready within 1 s of its start: ${says}`,
  });
});

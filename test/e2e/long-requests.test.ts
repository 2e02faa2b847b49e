import http from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readFolder } from '../../src/ledger/reader.ts';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { testPorts } from '../../src/lib/test-port.fixture.ts';
import type { FleetDoc, ReleaseDoc } from '../../src/server/schemas.ts';
import { type Running, up } from './harness.ts';
import { expectReplaysToMatch } from './replays.ts';

const SERVICE = fileURLToPath(new URL('./long-service.mjs', import.meta.url));

function specOf(ports: Record<string, number>): string {
  const of = (name: string, mode: string, traffic: string): string => `
  ${name}:
    listen: ${ports[name]}
    stable: v1
    health: { path: /q/health, every: 200ms, startWithin: 10s }
    traffic: ${traffic}
    release: watched
    versions:
      v1: { run: "node '${SERVICE}'", env: { VERSION: v1 }, replicas: 2 }
      v2: { run: "node '${SERVICE}'", env: { VERSION: v2, MODE: ${mode} }, replicas: 2 }`;
  return `davy: 1
system: long
services:${of('streams', 'same', '{ timeout: 5s }')}${of('sticky', 'same', '{ sticky: { cookie: place } }')}${of('hang', 'hang', '{ timeout: 7s }')}${of('sockets', 'same', '{ drain: 1s }')}
policies:
  watched:
    look: 500ms
    steps: [{ weight: 50%, hold: 10m }, { weight: 100%, hold: 10m }]
    instant: { errors: 30%, over: 10s, minRequests: 20 }
    warmup: 0s
    noData: { hold: 10s, then: rollback }
`;
}

/** Sends a request every so often until it is stopped. */
function traffic(everyMs: number, send: () => void): () => void {
  const timer = setInterval(send, everyMs);
  return () => clearInterval(timer);
}

describe('requests that last', () => {
  let davy: Running;
  const stops: (() => void)[] = [];
  const open = new Set<http.ClientRequest>();
  let ports: Record<string, number>;

  function ask(service: string, path: string, headers: http.OutgoingHttpHeaders = {}): http.ClientRequest {
    const request = http.get({ port: ports[service], host: '127.0.0.1', path, headers, agent: false });
    open.add(request);
    request.on('error', () => {});
    request.on('close', () => open.delete(request));
    request.on('response', (response) => response.on('error', () => {}).resume());
    return request;
  }

  const of = (fleet: FleetDoc, id: string): ReleaseDoc | undefined => fleet.releases.find((one) => one.id === id);

  beforeAll(async () => {
    const free = await testPorts(4);
    ports = Object.fromEntries(['streams', 'sticky', 'hang', 'sockets'].map((name, i) => [name, free[i] as number]));
    davy = await up(specOf(ports));
    for (const name of Object.keys(ports)) {
      const { code, stderr } = await davy.davy('release', name, 'v2', '--reason', `try ${name}`);
      expect(code, stderr).toBe(0);
    }
    const atHalf = (fleet: FleetDoc): boolean =>
      fleet.releases.length === 4 && fleet.releases.every(({ effectiveWeightBp }) => effectiveWeightBp === 5000);
    await davy.until('every canary has its half', atHalf, 30_000);
    stops.push(traffic(50, () => ask('streams', '/events')));
    for (let client = 0; client < 4; client++) {
      let cookie: string | undefined;
      const send = (): void => {
        ask('sticky', '/', cookie === undefined ? {} : { cookie }).on('response', ({ headers }) => {
          cookie ??= headers['set-cookie']?.[0]?.split(';')[0];
        });
      };
      send();
      stops.push(traffic(50, send));
    }
    // Clients that leave after a while, as people do.
    stops.push(
      traffic(100, () => {
        const request = ask('hang', '/');
        setTimeout(() => request.destroy(), 6_000).unref();
      }),
    );
  });
  afterAll(async () => {
    for (const stop of stops) stop();
    for (const request of open) request.destroy();
    await davy?.end();
  });

  it('a version that hangs is rolled back for it, and the reason says that it did not answer', async () => {
    await davy.until('hang-1 ends', (fleet) => of(fleet, 'hang-1')?.phase === 'rolled-back', 60_000);
    const { stdout } = await davy.davy('explain', 'hang-1');
    expect(stdout).toMatch(/does not answer|none was answered yet|got no answer in time|not answered yet/);
    expect(stdout).not.toMatch(/Canary gets \d/);
  });

  it('WebSockets on a version that was rolled back are told and closed after the grace, and the record says so', async () => {
    const versions: string[] = [];
    const ends: Promise<string>[] = [];
    for (let i = 0; i < 20; i++) {
      const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
      const request = ask('sockets', '/', { ...headers, 'sec-websocket-version': '13' });
      await new Promise<void>((resolve) => {
        request.on('upgrade', (_response, socket, first: Buffer) => {
          let octets = first;
          const seen = (): void => {
            if (octets.length < 4 || versions.length > i) return;
            versions.push(octets.toString('latin1', 2, 4));
            resolve();
          };
          stops.push(() => socket.destroy());
          socket.on('error', () => {});
          socket.on('data', (piece: Buffer) => {
            octets = Buffer.concat([octets, piece]);
            seen();
          });
          ends.push(new Promise((ended) => socket.on('close', () => ended(octets.toString('latin1', 4)))));
          seen();
        });
      });
    }
    const onCanary = versions.filter((version) => version === 'v2').length;
    expect(onCanary).toBeGreaterThan(5);
    const { code, stderr } = await davy.davy('rollback', 'sockets-1', '--reason', 'enough');
    expect(code, stderr).toBe(0);
    const told = await Promise.all(ends.filter((_, i) => versions[i] === 'v2'));
    expect(new Set(told)).toEqual(new Set(['\x88\x02\x03\xe9']));
    await davy.until('the record', (fleet) => of(fleet, 'sockets-1')?.drain?.open === 0, 10_000);
    expect(of(await davy.fleet(), 'sockets-1')?.drain).toMatchObject({
      version: 'v2',
      cut: onCanary,
      ended: 0,
      unseen: 0,
    });
    const { stdout } = await davy.davy('explain', 'sockets-1');
    expect(stdout).toContain(`0 ended by themselves, ${onCanary} were cut`);
    const records: object[] = [];
    for await (const { record } of readFolder(join(davy.dataDir, 'ledger'))) {
      if (record.type === 'release.drained') records.push(record.data);
    }
    expect(records).toContainEqual(expect.objectContaining({ release: 'sockets-1', cut: onCanary }));
  });

  it('an equal version with nothing but streams of 30 s, or with four sticky clients, goes on', async () => {
    // Longer than it took to roll both back when requests counted as they ended, and each as dealt by itself.
    const enough = (fleet: FleetDoc): boolean => (of(fleet, 'streams-1')?.judgement?.heldMs ?? 0) > 15_000;
    await davy.until('fifteen seconds of streams', enough, 60_000);
    await sleep(systemClock, 1_000);
    const fleet = await davy.fleet();
    for (const id of ['streams-1', 'sticky-1']) {
      const release = of(fleet, id);
      expect(release, JSON.stringify(release?.judgement?.reason)).toMatchObject({ phase: 'progressing' });
      const split = release?.judgement?.evidence.metrics.find(({ name }) => name === 'split');
      expect(split?.evidence).toBeLessThan(20);
    }
    expect(of(fleet, 'streams-1')!.canaryRequests).toBeGreaterThan(50);
  });

  it('recorded looks from which the judge reaches every verdict again', async () => {
    expect(await expectReplaysToMatch(davy)).toBeGreaterThanOrEqual(2);
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { testPort } from '../../lib/test-port.fixture.ts';
import type { CounterSnapshot } from '../../metrics/source.ts';
import type { DataPlaneState } from '../../traffic/dataplane.ts';
import type { RoutingTable } from '../../traffic/model.ts';
import { answering, type RouteParts, startUpstream, type TestUpstream, tableOf } from '../testing/harness.ts';
import { steadyClients } from '../testing/steady-clients.ts';

const MAIN = join(import.meta.dirname, '../main.ts');
/** 250 requests per second. */
const LOAD = { width: 20, everyMs: 4 };

interface Announced {
  pid: number;
  adminPort: number;
  token: string;
}

class Rig {
  readonly runDir = mkdtempSync(join(tmpdir(), 'davy-gateway-'));
  readonly process: ChildProcess;
  readonly upstreams: TestUpstream[] = [];
  port = 0;

  constructor(gateways: number) {
    const args = [MAIN, '--run-dir', this.runDir, '--gateways', String(gateways)];
    this.process = spawn(process.execPath, args, { stdio: 'inherit' });
  }

  static async start(gateways: number, parts: Partial<RouteParts> = {}): Promise<Rig> {
    const rig = new Rig(gateways);
    rig.upstreams.push(await startUpstream(answering()), await startUpstream(answering()));
    rig.port = await testPort();
    while (!existsSync(join(rig.runDir, 'gateway.json'))) await turn();
    await rig.put(rig.table(1, parts));
    return rig;
  }

  table(generation: number, parts: Partial<RouteParts> = {}): RoutingTable {
    return tableOf(this.port, generation, { stable: this.upstreams, ...parts });
  }

  announced(): Announced {
    return JSON.parse(readFileSync(join(this.runDir, 'gateway.json'), 'utf8')) as Announced;
  }

  async call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const { adminPort, token } = this.announced();
    const headers = { authorization: `Bearer ${token}`, connection: 'close' };
    const answer = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
      ...{ method, headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  put(table: RoutingTable): Promise<DataPlaneState> {
    return this.call('PUT', '/table', table);
  }

  async counted(): Promise<number> {
    const { services } = await this.call<CounterSnapshot>('GET', '/counters');
    return services.flatMap(({ instances }) => instances).reduce((sum, { outcome }) => sum + outcome.requests, 0);
  }

  async end(): Promise<void> {
    for (const upstream of this.upstreams) await upstream.close();
    if (existsSync(join(this.runDir, 'gateway.json'))) {
      const { pid } = this.announced();
      await this.call('POST', '/drain').catch(() => {});
      while (isAlive(pid)) await turn();
    }
    rmSync(this.runDir, { recursive: true, force: true });
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0) && !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

let rig: Rig;
afterEach(() => rig.end());

async function untilSent(clients: { sent(): number }, count: number): Promise<void> {
  while (clients.sent() < count) await turn();
}

describe.each([1, 2])('a gateway of %d under 250 requests per second', (gateways) => {
  it('is put in place anew, again and again: no request fails, none is counted twice or not at all', async () => {
    rig = await Rig.start(gateways);
    const before = await rig.call<DataPlaneState>('GET', '/state');
    const clients = await steadyClients(rig.port, { ...LOAD, reconnect: true });
    const pids = [rig.announced().pid];
    for (let i = 1; i <= 2; i++) {
      await untilSent(clients, clients.sent() + 100);
      const { pid } = await rig.call<{ pid: number }>('POST', '/restart');
      expect(rig.announced().pid).toBe(pid);
      pids.push(pid);
    }
    await untilSent(clients, clients.sent() + 100);
    const result = await clients.stop();
    expect(new Set(pids).size).toBe(3);
    expect(result).toMatchObject({ failed: [], refused: 0, ok: result.sent });
    expect(await rig.call('GET', '/state')).toEqual(before);
    for (const old of pids.slice(0, -1)) while (isAlive(old)) await turn();
    expect(await rig.counted()).toBe(result.ok);
  });

  it('ends by SIGTERM: every request on an open connection is answered', async () => {
    rig = await Rig.start(gateways);
    const clients = await steadyClients(rig.port, { ...LOAD, reconnect: false });
    await untilSent(clients, 100);
    rig.process.kill('SIGTERM');
    await once(rig.process, 'exit');
    const { failed, ok, sent } = await clients.stop();
    expect(failed).toEqual([]);
    expect(ok).toBe(sent);
  });
});

describe('what a successor takes over', () => {
  it('the lease as it stands: neither prolonged nor lost', async () => {
    rig = await Rig.start(1);
    const canary = {
      canary: [rig.upstreams[1]!],
      canaryRoute: { weightBp: 5000, lease: { id: 'svc-1', ttlMs: 6_000 } },
    };
    await rig.put(rig.table(2, canary));
    await rig.call('POST', '/restart');
    const state = await rig.call<DataPlaneState>('GET', '/state');
    expect(state).toMatchObject({ generation: 2, services: [{ effectiveWeightBp: 5000, leaseExpired: false }] });
    while (!(await rig.call<DataPlaneState>('GET', '/state')).services[0]?.leaseExpired) await turn();
    await rig.call('POST', '/restart');
    expect(await rig.call('GET', '/state')).toMatchObject({ services: [{ effectiveWeightBp: 0, leaseExpired: true }] });
    expect(await rig.call('POST', '/leases', { ids: ['svc-1'] })).toEqual({ lost: ['svc-1'] });
  });

  it('faults and tokens: neither ends nor begins anew', async () => {
    rig = await Rig.start(1, { route: { rateLimit: { perSecond: 0.001, burst: 5 } } });
    const ask = async () => (await fetch(`http://127.0.0.1:${rig.port}/`, { headers: { connection: 'close' } })).status;
    for (let i = 0; i < 3; i++) expect(await ask()).toBe(200);
    const scope = { service: 'svc', version: null, instances: null, zone: null, share: 1 };
    const rules = [{ id: 'x', action: { kind: 'abort', status: 503 }, ttlMs: 60_000, scope }];
    await rig.call('POST', '/restart');
    expect([await ask(), await ask(), await ask()]).toEqual([200, 200, 429]);
    await rig.call('PUT', '/faults', { rules });
    await rig.call('POST', '/restart');
    const { faults } = await rig.call<{ faults: { expiresInMs: number; begun: number }[] }>('GET', '/faults');
    expect(faults).toMatchObject([{ begun: 1 }]);
    expect(faults[0]?.expiresInMs).toBeLessThan(60_000);
  });

  it('nothing when it cannot: the old one goes on, and says why', async () => {
    rig = await Rig.start(1);
    const { pid } = rig.announced();
    const broken = join(rig.runDir, 'sticky.key');
    rmSync(broken);
    // A folder where the key should be: the successor cannot start.
    mkdirSync(broken);
    await expect(rig.call('POST', '/restart')).rejects.toThrow(/409.*successor ended/);
    expect(rig.announced().pid).toBe(pid);
    expect((await fetch(`http://127.0.0.1:${rig.port}/`)).status).toBe(200);
    rmSync(broken, { recursive: true });
    await rig.call('POST', '/restart');
    expect((await fetch(`http://127.0.0.1:${rig.port}/`)).status).toBe(200);
  });
});

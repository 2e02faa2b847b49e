/** A gateway whose descriptors run out: traffic suffers, the admin address does not. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { testPort } from '../lib/test-port.fixture.ts';
import { until } from '../lib/until.fixture.ts';
import type { DataPlaneState } from '../traffic/dataplane.ts';
import { answering, connectRaw, get, startUpstream, statusOf, type TestUpstream, tableOf } from './testing/harness.ts';

const MAIN = join(import.meta.dirname, 'main.ts');
const onLinux = process.platform === 'linux';

let gateway: ChildProcess;
let folder: string;
let upstream: TestUpstream;
const clients: net.Socket[] = [];

afterEach(async () => {
  for (const client of clients) client.destroy();
  gateway.kill('SIGKILL');
  await once(gateway, 'exit');
  await upstream.close();
  rmSync(folder, { recursive: true });
});

/** Starts a gateway that may open `descriptors` files. */
async function start(descriptors: number): Promise<{ admin: number; token: string }> {
  folder = mkdtempSync(join(tmpdir(), 'davy-few-'));
  const limited = [
    '-c',
    'ulimit -n "$0" && exec "$@"',
    String(descriptors),
    process.execPath,
    MAIN,
    '--run-dir',
    folder,
  ];
  gateway = spawn('sh', limited, { stdio: ['ignore', 'ignore', 'pipe'] });
  const file = join(folder, 'gateway.json');
  await until(() => existsSync(file));
  const { adminPort, token } = JSON.parse(readFileSync(file, 'utf8')) as { adminPort: number; token: string };
  return { admin: adminPort, token };
}

it.skipIf(!onLinux)(
  '600 clients of a gateway with 256 descriptors: lowering and renewal get through, and it says what is short',
  async () => {
    let said = '';
    const { admin, token } = await start(256);
    gateway.stderr!.on('data', (text) => {
      said += text;
    });
    // A connection for each call, as a controller that has just started has none.
    const call = async (method: string, path: string, body?: unknown) => {
      const headers = { authorization: `Bearer ${token}`, connection: 'close' };
      const init = body === undefined ? {} : { body: JSON.stringify(body) };
      return fetch(`http://127.0.0.1:${admin}${path}`, { method, headers, ...init });
    };
    upstream = await startUpstream(answering());
    const canary = await startUpstream(answering());
    const port = await testPort();
    const table = (generation: number, weightBp: number) =>
      tableOf(port, generation, { stable: [upstream], canary: [canary], canaryRoute: { weightBp } });
    expect((await call('PUT', '/table', table(1, 5_000))).status).toBe(200);

    // Each holds its connection with half a head, and comes again when it is refused.
    let gone = false;
    const hold = (): void => {
      if (gone) return;
      const client = net.connect(port, '127.0.0.1', () => client.write('GET / HTTP/1.1\r\nHost: s'));
      clients.push(client);
      client.on('error', () => {});
      client.on('close', () => setTimeout(hold, 50));
    };
    for (let i = 0; i < 600; i++) hold();
    await until(() => /descriptors open and refuses connections/.test(said));

    for (let i = 0; i < 20; i++) {
      expect((await call('POST', '/leases', { ids: ['svc-1'] })).status).toBe(200);
      expect(await (await call('GET', '/metrics')).text()).toMatch(
        /davy_gateway_descriptors_refused_total\{pid="\d+"\} [1-9]/,
      );
    }
    expect((await call('PUT', '/table', table(2, 0))).status).toBe(200);
    const state = (await (await call('GET', '/state')).json()) as DataPlaneState;
    expect(state.services[0]).toMatchObject({ effectiveWeightBp: 0 });
    expect(state.warnings).toEqual([expect.stringMatching(/^The gateway has \d+ of its 256 descriptors open/)]);

    gone = true;
    for (const client of clients) client.destroy();
    let status = 0;
    while (status !== 200) {
      const client = connectRaw(port);
      client.send(get());
      status = statusOf(await client.closed());
    }
    await canary.close();
  },
);

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nodeDisk } from '../../src/ledger/node-disk.ts';
import { identify, isSame } from '../../src/lib/process.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import { until } from '../../src/lib/until.fixture.ts';
import { type Load, startLoad, steadyPlan } from '../../src/load/start-load.ts';
import { controllerPid } from './controller-pid.ts';
import { davy as command, DAVY, QUICK_POLICY, type Running, readPid, specOf, up } from './harness.ts';
import { canMount, type SmallDisk, smallDisk } from './small-disk.ts';

/** What stands in the way of the next controller. */
interface Obstacle {
  /** Puts it there, once the controller is dead. */
  put(davy: Running): Promise<void> | void;
  mend(davy: Running): Promise<void> | void;
  /** The error's code, as the supervisor says it. */
  code: string;
}

const specFile = (davy: Running): string => join(davy.folder, 'davy.yaml');
const logFile = (davy: Running): string => join(davy.dataDir, 'ledger/log/0000000000000000.jsonl');
let whole = '';

function changeFile(file: (davy: Running) => string, change: (text: string) => string): Omit<Obstacle, 'code'> {
  return {
    put(davy) {
      whole = readFileSync(file(davy), 'utf8');
      writeFileSync(file(davy), change(whole));
    },
    mend: (davy) => writeFileSync(file(davy), whole),
  };
}

/** The killed controller's ports and locks go a moment after it. */
async function whenFree<T>(take: () => Promise<T>): Promise<T> {
  for (;;) {
    const taken = await take().catch(() => null);
    if (taken !== null) return taken;
  }
}

let blocker: { close(): void } | null = null;
let disk: SmallDisk | null = null;

const obstacles: Record<string, Obstacle> = {
  'its API port is taken': {
    code: 'api/port-in-use',
    async put(davy) {
      blocker = await whenFree(async () => {
        const server = createServer().listen(davy.port, '127.0.0.1');
        await once(server, 'listening');
        return server;
      });
    },
    mend: () => blocker?.close(),
  },
  'the spec on disk is broken': { code: 'spec/', ...changeFile(specFile, (text) => `${text}\n  nonsense: [`) },
  'the spec on disk is gone': {
    code: 'spec/',
    put(davy) {
      whole = readFileSync(specFile(davy), 'utf8');
      rmSync(specFile(davy));
    },
    mend: (davy) => writeFileSync(specFile(davy), whole),
  },
  'the spec has lost the stable version': {
    code: 'release/stable-not-in-spec',
    ...changeFile(specFile, (text) => text.replace('stable: v1', 'stable: v2').replace(/^ {6}v1: .*\n/m, '')),
  },
  'another process has the ledger': {
    code: 'ledger/locked',
    async put(davy) {
      const release = await whenFree(() => nodeDisk.lock(join(davy.dataDir, 'ledger')));
      blocker = { close: () => void release() };
    },
    mend: () => blocker?.close(),
  },
  'the log is shorter than its checkpoint': {
    code: 'ledger/truncated',
    ...changeFile(logFile, (text) => `${text.split('\n').slice(0, 3).join('\n')}\n`),
  },
  'a record was changed': {
    code: 'ledger/tampered',
    ...changeFile(logFile, (text) => text.replace('"shop"', '"shoq"')),
  },
};

describe('a controller that cannot start again', () => {
  let davy: Running;
  let load: Load;
  let port: number;

  async function begin(parent: string): Promise<void> {
    port = await testPort();
    davy = await up(specOf({ shop: { port, versions: { v2: {} } } }, QUICK_POLICY), parent);
    ask();
  }

  function ask(): void {
    load = startLoad(steadyPlan({ url: `http://127.0.0.1:${port}/`, ratePerSecond: 50 }));
  }

  /** Kills the controller, lets it fail more than once, mends it, and waits for it to be back. */
  async function failAndMend({ put, mend, code }: Obstacle): Promise<void> {
    const { gateway, instance } = { gateway: gatewayPid(), instance: instancePid() };
    const said = davy.said().length;
    const saying = (what: string): number => davy.said().slice(said).split(what).length - 1;
    process.kill(controllerPid(davy.dataDir), 'SIGKILL');
    await put(davy);
    await until(() => saying(code) > 0);
    // The next tries find the same; they come more and more rarely and say nothing.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(saying(code), davy.said().slice(said)).toBe(1);
    expect(saying('what runs goes on')).toBe(1);
    expect({ gateway: gatewayPid(), instance: instancePid() }).toEqual({ gateway, instance });
    await mend(davy);
    await until(() => saying(' is up at ') > 0);
    await davy.until('traffic is in step', ({ traffic }) => traffic.problem === null, 30_000);
    expect({ gateway: gatewayPid(), instance: instancePid() }).toEqual({ gateway, instance });
    const { counts } = await load.stop();
    expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
    expect(counts.requests).toBeGreaterThan(50);
    ask();
  }

  const gatewayPid = (): number => readPid(davy.dataDir, 'gateway-process.json');
  const instancePid = (): number => readPid(davy.dataDir, 'instances/shop%2Fv1%2F1.json');

  describe('on a disk with room', () => {
    beforeAll(() => begin(tmpdir()));
    afterEach(() => {
      blocker?.close();
      blocker = null;
    });
    afterAll(async () => {
      await load.stop();
      await davy.end();
    });

    it.each(Object.keys(obstacles))('because %s: traffic goes on, it is said once, and it comes back', (name) =>
      failAndMend(obstacles[name]!),
    );
  });

  describe.runIf(canMount())('on a full disk', () => {
    beforeAll(async () => {
      disk = smallDisk();
      await begin(disk.folder);
    });
    afterAll(async () => {
      await load.stop();
      await davy.end();
      disk?.remove();
    });

    it('traffic goes on, it is said once, and it comes back when there is room', () =>
      failAndMend({ code: 'ledger/disk-full', put: () => disk?.fill(), mend: () => disk?.empty() }));
  });

  it('a first start with a broken spec is refused with its place and exit code 2 where nothing runs', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'davy-e2e-'));
    writeFileSync(join(folder, 'davy.yaml'), 'davy: 1\nsystem: x\nservices: {}\n  nonsense: [');
    const refused = await command(['up', join(folder, 'davy.yaml'), '--port', String(await testPort())]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('davy.yaml:4') });
    expect(existsSync(join(folder, '.davy'))).toBe(false);
    rmSync(folder, { recursive: true });
  });

  describe('beside others', () => {
    beforeEach(() => begin(tmpdir()));
    afterEach(async () => {
      await load.stop().catch(() => {});
      await davy.end();
    });

    /** Another `davy up` on the same folder; its own words, and how it ends. */
    function anotherUp(): { said: () => string; signal(name: NodeJS.Signals): void; ended: Promise<number | null> } {
      const args = [DAVY, 'up', specFile(davy), '--port', String(davy.port)];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const ended = once(child, 'exit').then(([code]) => code as number | null);
      return { said: () => said, signal: (name) => void child.kill(name), ended };
    }

    it('a second davy up waits, and leaves everything to the first when it is stopped', async () => {
      const second = anotherUp();
      await until(() => second.said().includes('ledger/locked'));
      second.signal('SIGINT');
      expect(await second.ended).toBe(130);
      expect(second.said()).toContain('go on, and the next `davy up` adopts them');
      expect((await davy.fleet()).traffic.problem).toBeNull();
      const { counts } = await load.stop();
      expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
    });

    it('after kill -9 of both, a davy up with a broken spec goes on trying, and stopping it ends nothing', async () => {
      const gateway = gatewayPid();
      const controller = controllerPid(davy.dataDir);
      davy.process.kill('SIGKILL');
      process.kill(controller, 'SIGKILL');
      const text = readFileSync(specFile(davy), 'utf8');
      writeFileSync(specFile(davy), `${text}\n  nonsense: [`);
      const next = anotherUp();
      await until(() => next.said().includes('what runs goes on'));
      next.signal('SIGTERM');
      expect(await next.ended).toBe(0);
      expect(gatewayPid()).toBe(gateway);
      writeFileSync(specFile(davy), text);
      const last = await davy.again();
      expect(gatewayPid()).toBe(gateway);
      const { counts } = await load.stop();
      expect(counts).toMatchObject({ errors: {}, ok: counts.requests });
      last.process.kill('SIGTERM');
      await once(last.process, 'exit');
    });

    it('Ctrl-C ends what runs, also while no controller can start', async () => {
      await load.stop();
      const pids = [gatewayPid(), instancePid()].map((pid) => identify(pid));
      const text = readFileSync(specFile(davy), 'utf8');
      process.kill(controllerPid(davy.dataDir), 'SIGKILL');
      writeFileSync(specFile(davy), `${text}\n  nonsense: [`);
      await until(() => davy.said().includes('what runs goes on'));
      davy.process.kill('SIGINT');
      await once(davy.process, 'exit');
      expect(davy.process.exitCode).toBe(130);
      expect(pids.map((one) => one && isSame(one))).toEqual([false, false]);
    });

    it('a port of the spec that another program took: instances go on, and traffic when it is free', async () => {
      await load.stop();
      const instance = instancePid();
      process.kill(controllerPid(davy.dataDir), 'SIGKILL');
      process.kill(gatewayPid(), 'SIGKILL');
      const other = await whenFree(async () => {
        const server = createServer().listen(port, '127.0.0.1');
        await once(server, 'listening');
        return server;
      });
      await until(() => davy.said().includes('the first routing table is not in force'));
      const { traffic } = await davy.until('it is up', () => true, 30_000);
      expect(traffic.problem).toContain(String(port));
      other.close();
      await davy.until('traffic is in step', (fleet) => fleet.traffic.problem === null, 30_000);
      expect(instancePid()).toBe(instance);
      expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    });
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { workloadsContract } from '../../test/contract/workloads.ts';
import { systemClock } from '../lib/clock.ts';
import { identify, isSame } from '../lib/process.ts';
import { until } from '../lib/until.fixture.ts';
import type { Spec } from '../spec/model.ts';
import { openInstanceRecords } from './instance-records.ts';
import { shopSpec } from './shop-spec.fixture.ts';
import { type MachineWorkloads, openWorkloads } from './supervisor.ts';
import type { InstanceStatus, Workloads } from './workloads.ts';

/** Answers 503 while a file named after the instance lies beside it; SIGTERM ends it. */
const service = `
const { existsSync } = require('node:fs');
const name = process.env.DAVY_INSTANCE.replaceAll('/', '.') + '.broken';
require('node:http').createServer((_, res) => {
  res.writeHead(existsSync(name) ? 503 : 200, { version: process.env.VERSION }).end(process.env.DAVY_INSTANCE);
}).listen(Number(process.env.PORT), process.env.HOST);
process.on('SIGTERM', () => process.exit(0));
`;
const argv = [process.execPath, 'server.cjs'];

let folder: string;
const opened: Workloads[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'davy-workloads-'));
  writeFileSync(join(folder, 'server.cjs'), service);
});

afterEach(async () => {
  await Promise.all(opened.splice(0).map((workloads) => workloads.stop()));
  rmSync(folder, { recursive: true, force: true });
});

function open(spec: Spec, more: { mayEnd?: Promise<void> } = {}): MachineWorkloads {
  const workloads = openWorkloads({
    ...{ spec, runDir: join(folder, 'run'), logDir: join(folder, 'log'), baseDir: folder },
    ...{ clock: systemClock, log: () => {}, random: () => 0.5, graceMs: 2_000, drainMs: 10, ...more },
  });
  opened.push(workloads);
  return workloads;
}

const brokenFile = (id: string): string => join(folder, `${id.replaceAll('/', '.')}.broken`);
const find = (workloads: Workloads, id: string): InstanceStatus => workloads.list().find((one) => one.id === id)!;

workloadsContract('process', async () => ({
  workloads: open(shopSpec(argv)),
  runsInstances: true,
  breakHealth: async (id) => writeFileSync(brokenFile(id), ''),
  mendHealth: async (id) => rmSync(brokenFile(id), { force: true }),
  until,
  settle: (promise) => promise,
  dispose: async () => {},
}));

test('no instance gets a port on which a service will listen, whoever opens it first', async () => {
  const spec = shopSpec(argv);
  const shop = spec.services.shop!;
  // Three quarters of all ports that the machine gives away by itself.
  const taken = Array.from({ length: 65_536 - 32_768 }, (_, i) => 32_768 + i).filter((port) => port % 8 > 1);
  for (const port of taken) {
    spec.services[`s${port}`] = { ...shop, name: `s${port}`, listenPort: port, versions: {} };
  }
  const workloads = open(spec);
  await workloads.start();
  const ports = workloads.list().map((instance) => instance.port);
  expect(ports).toHaveLength(3);
  for (const port of ports) expect(port! % 8).toBeLessThan(2);
});

test('a killed instance is started again on another port, the others stay', async () => {
  const workloads = open(shopSpec(argv));
  await workloads.start();
  const before = find(workloads, 'shop/v1/1');
  const neighbour = find(workloads, 'shop/v1/2');
  process.kill(before.pid!, 'SIGKILL');
  await until(() => find(workloads, 'shop/v1/1').phase === 'backing-off');
  expect(find(workloads, 'shop/v1/1')).toMatchObject({ problem: 'was killed by SIGKILL', pid: null });
  await until(() => find(workloads, 'shop/v1/1').phase === 'ready');
  const after = find(workloads, 'shop/v1/1');
  expect(after.restarts).toBe(1);
  expect(after.pid).not.toBe(before.pid);
  expect(after.port).not.toBe(before.port);
  expect(find(workloads, 'shop/v1/2')).toEqual(neighbour);
});

test('the next controller adopts what still runs, notices a death meanwhile, and later deaths too', async () => {
  const first = open(shopSpec(argv));
  await first.start();
  const before = first.list();
  await first.stop({ leaveRunning: true });
  process.kill(before[2]!.pid!, 'SIGKILL');
  const second = open(shopSpec(argv));
  await second.start();
  await until(() => second.list().every((instance) => instance.phase === 'ready'));
  expect(second.list().slice(0, 2)).toEqual(before.slice(0, 2));
  expect(second.list()[2]).toMatchObject({ restarts: 1 });
  expect(second.list()[2]!.pid).not.toBe(before[2]!.pid);
  process.kill(before[0]!.pid!, 'SIGKILL');
  await until(() => second.list()[0]!.restarts === 1 && second.list()[0]!.phase === 'ready');
});

test('an instance with another declaration is started anew, an undeclared one is ended', async () => {
  const first = open(shopSpec(argv));
  await first.start();
  const before = first.list();
  await first.stop({ leaveRunning: true });
  const spec = shopSpec(argv);
  spec.services.shop!.versions.v1!.env = { VERSION: 'v1', FLAG: 'on' };
  delete spec.services.shop!.versions.v2;
  const gone = identify(before[2]!.pid!)!;
  const second = open(spec);
  await second.start();
  expect(second.list().map((instance) => instance.phase)).toEqual(['ready', 'ready']);
  expect(second.list()[0]).toMatchObject({ restarts: 0 });
  expect(second.list()[0]!.pid).not.toBe(before[0]!.pid);
  expect(isSame(gone)).toBe(false);
});

test('nothing that an earlier controller left is ended or forgotten before it may be', async () => {
  const first = open(shopSpec(argv));
  await first.start();
  const before = first.list();
  await first.stop({ leaveRunning: true });
  const spec = shopSpec(argv);
  spec.services.shop!.versions.v1!.env = { VERSION: 'v1', FLAG: 'on' };
  delete spec.services.shop!.versions.v2;
  const left = before.map(({ pid }) => identify(pid!)!);

  // One that fails before it has taken anything over.
  await open(spec).stop();
  const failing = open(spec, { mayEnd: new Promise(() => {}) });
  void failing.start();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await failing.stop({ leaveRunning: true });
  expect(left.map(isSame)).toEqual([true, true, true]);

  const last = open(shopSpec(argv));
  await last.start();
  await until(() => last.list().every((instance) => instance.phase === 'ready'));
  expect(last.list()).toEqual(before);
});

test.runIf(process.platform === 'linux')(
  'a process whose identity was not written in time is found again',
  async () => {
    const first = open(shopSpec(argv));
    await first.start();
    const before = first.list();
    await first.stop({ leaveRunning: true });
    const records = openInstanceRecords(join(folder, 'run', 'instances'));
    records.write({ ...records.read('shop/v1/1')!, identity: null });
    const second = open(shopSpec(argv));
    await second.start();
    expect(second.list()).toEqual(before);
  },
);

test('stop ends every process and forgets it', async () => {
  const workloads = open(shopSpec(argv));
  await workloads.start();
  const identities = workloads.list().map((instance) => identify(instance.pid!)!);
  await workloads.stop();
  expect(identities.map(isSame)).toEqual([false, false, false]);
  expect(openInstanceRecords(join(folder, 'run', 'instances')).all()).toEqual([]);
});

test('a version that crashes at start says how and why, and its output is in its log', async () => {
  const spec = shopSpec(argv);
  const script = 'console.log("hello"); throw new Error("no database");';
  spec.services.shop!.versions.v2!.argv = [process.execPath, '-e', script];
  const workloads = open(spec);
  await workloads.start();
  // It is started again and again: what it says is told in either phase.
  await until(() => find(workloads, 'shop/v2/1').phase === 'backing-off');
  expect(find(workloads, 'shop/v2/1')).toMatchObject({
    problem: 'exited with code 1: Error: no database',
  });
  expect(find(workloads, 'shop/v1/1').phase).toBe('ready');
  expect(readFileSync(join(folder, 'log', 'shop.v2.1.log'), 'utf8')).toContain('hello');
});

test('a program that does not exist is named', async () => {
  const spec = shopSpec(argv);
  spec.services.shop!.versions.v2!.argv = ['no-such-program'];
  const workloads = open(spec);
  await workloads.start();
  expect(find(workloads, 'shop/v2/1').problem).toContain('no-such-program');
  expect(find(workloads, 'shop/v2/1').phase).toBe('backing-off');
});

test('an instance that hangs is killed and started anew', async () => {
  const spec = shopSpec(argv);
  spec.services.shop!.health = { ...spec.services.shop!.health, timeoutMs: 100, startWithinMs: 400 };
  const workloads = open(spec);
  await workloads.start();
  const now = () => find(workloads, 'shop/v1/1');
  // A slow machine may need several starts.
  await until(() => now().phase === 'ready');
  const before = now();
  process.kill(before.pid!, 'SIGSTOP');
  await until(() => now().phase === 'unhealthy');
  await until(() => now().restarts > before.restarts && now().phase === 'ready');
  expect(now().pid).not.toBe(before.pid);
});

test.runIf(process.platform === 'linux')(
  'a paused instance leaves the ready ones and comes back as the same process',
  async () => {
    const workloads = open(shopSpec(argv));
    await workloads.start();
    const before = find(workloads, 'shop/v1/1');
    const { faults } = workloads;
    await faults.pause('shop/v1/1', 60_000);
    expect(faults.isPaused('shop/v1/1')).toBe(true);
    await faults.resume('shop/v1/1');
    await until(() => !faults.isPaused('shop/v1/1') && find(workloads, 'shop/v1/1').phase === 'ready');
    expect(find(workloads, 'shop/v1/1').pid).toBe(before.pid);
  },
);

test.runIf(process.platform === 'linux')('a pause ends by itself', async () => {
  const workloads = open(shopSpec(argv));
  await workloads.start();
  await workloads.faults.pause('shop/v2/1', 300);
  expect(workloads.faults.isPaused('shop/v2/1')).toBe(true);
  await until(() => !workloads.faults.isPaused('shop/v2/1'));
});

test.runIf(process.platform === 'linux')(
  'a paused process that somebody continues is seen to have run, also when it stands still again',
  async () => {
    const workloads = open(shopSpec(argv));
    await workloads.start();
    const { faults } = workloads;
    const hit = await faults.pause('shop/v1/1', 60_000);
    expect(hit.pid).toBe(find(workloads, 'shop/v1/1').pid);
    // It says that it is stopped a moment before it leaves its processor.
    let seen = faults.look(hit);
    await until(() => {
      const before = seen;
      seen = faults.look(hit);
      return seen.switches === before.switches;
    });
    expect(seen).toMatchObject({ exists: true, stopped: true, switches: expect.any(Number) });
    process.kill(-hit.pid, 'SIGCONT');
    process.kill(-hit.pid, 'SIGSTOP');
    await until(() => faults.look(hit).stopped && faults.look(hit).switches! > seen.switches!);
    await faults.kill('shop/v1/1');
    expect(faults.look(hit)).toMatchObject({ exists: false, stopped: false });
  },
);

test('kill takes one instance down; unknown ones and stopped ones are refused', async () => {
  const workloads = open(shopSpec(argv));
  await workloads.start();
  const hit = await workloads.faults.kill('shop/v1/2');
  expect(workloads.faults.look(hit).exists).toBe(false);
  await until(() => find(workloads, 'shop/v1/2').restarts === 1);
  await expect(workloads.faults.kill('shop/v9/1')).rejects.toMatchObject({ code: 'workloads/unknown-instance' });
  await workloads.stop();
  await expect(workloads.faults.kill('shop/v1/1')).rejects.toMatchObject({ code: 'workloads/not-running' });
});

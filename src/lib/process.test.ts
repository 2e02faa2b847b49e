import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sleep, systemClock } from './clock.ts';
import {
  findByEnvironment,
  findFreePort,
  identify,
  isSame,
  killLeftovers,
  type StartedProcess,
  startProcess,
  terminate,
} from './process.ts';

let folder: string;
const started: StartedProcess[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'davy-process-'));
});

afterEach(async () => {
  for (const child of started.splice(0)) await terminate(child.identity, { graceMs: 0, clock: systemClock });
  rmSync(folder, { recursive: true, force: true });
});

async function run(script: string, env: Record<string, string> = {}): Promise<StartedProcess> {
  const child = await startProcess({
    argv: [process.execPath, '-e', script],
    cwd: folder,
    env: { ...process.env, ...env },
    logFile: join(folder, 'out.log'),
  });
  started.push(child);
  return child;
}

async function logHas(text: string): Promise<void> {
  while (!readFileSync(join(folder, 'out.log'), 'utf8').includes(text)) await sleep(systemClock, 10);
}

const linuxOnly = test.runIf(process.platform === 'linux');

test('output of both streams goes to the log and the exit is reported', async () => {
  const child = await run('console.log("to out"); console.error("to err"); process.exit(7)');
  expect(await child.exited).toEqual({ code: 7, signal: null });
  const log = readFileSync(join(folder, 'out.log'), 'utf8');
  expect(log).toContain('to out');
  expect(log).toContain('to err');
  expect(isSame(child.identity)).toBe(false);
});

test('a running process is recognised; the same pid with another start time is not', async () => {
  const child = await run('setInterval(() => {}, 1000)');
  expect(isSame(child.identity)).toBe(true);
  expect(identify(child.identity.pid)).toEqual(child.identity);
  expect(isSame({ ...child.identity, startTime: 'another boot:1' })).toBe(false);
});

test('a program that does not exist is an error with its name', async () => {
  const attempt = startProcess({ argv: ['no-such-program'], cwd: folder, env: {}, logFile: join(folder, 'out.log') });
  await expect(attempt).rejects.toMatchObject({ code: 'lib/spawn-failed' });
  await expect(attempt).rejects.toThrow('no-such-program');
});

test('an empty command is an error', async () => {
  const attempt = startProcess({ argv: [], cwd: folder, env: {}, logFile: join(folder, 'out.log') });
  await expect(attempt).rejects.toMatchObject({ code: 'lib/spawn-failed' });
});

test('terminate lets a process drain', async () => {
  const child = await run(
    'process.on("SIGTERM", () => { console.log("drained"); process.exit(0) }); console.log("up"); setInterval(() => {}, 1000)',
  );
  await logHas('up');
  await terminate(child.identity, { graceMs: 10_000, clock: systemClock });
  expect(await child.exited).toEqual({ code: 0, signal: null });
  expect(readFileSync(join(folder, 'out.log'), 'utf8')).toContain('drained');
});

test('terminate kills what ignores SIGTERM, and is harmless the second time', async () => {
  const child = await run('process.on("SIGTERM", () => {}); console.log("up"); setInterval(() => {}, 1000)');
  await logHas('up');
  await terminate(child.identity, { graceMs: 50, clock: systemClock });
  expect((await child.exited).signal).toBe('SIGKILL');
  await terminate(child.identity, { graceMs: 50, clock: systemClock });
});

const wrapper =
  'const { spawn } = require("node:child_process");' +
  'const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });' +
  'console.log("child " + child.pid + ";"); setInterval(() => {}, 1000)';

async function childPid(): Promise<number> {
  await logHas(';');
  return Number(/child (\d+);/.exec(readFileSync(join(folder, 'out.log'), 'utf8'))![1]);
}

linuxOnly('terminate takes the whole group down', async () => {
  const leader = await run(wrapper);
  const inner = identify(await childPid())!;
  expect(isSame(inner)).toBe(true);
  await terminate(leader.identity, { graceMs: 5_000, clock: systemClock });
  expect(isSame(inner)).toBe(false);
});

linuxOnly('leftovers of a killed leader are killed', async () => {
  const leader = await run(wrapper);
  const inner = identify(await childPid())!;
  process.kill(leader.identity.pid, 'SIGKILL');
  await leader.exited;
  killLeftovers(leader.identity);
  while (isSame(inner)) await sleep(systemClock, 10);
});

linuxOnly('a process is found by a token in its environment', async () => {
  const token = `token-${process.pid}-${Math.random()}`;
  const child = await run('setInterval(() => {}, 1000)', { DAVY_TEST_TOKEN: token });
  expect(findByEnvironment('DAVY_TEST_TOKEN', token)).toEqual([child.identity]);
  expect(findByEnvironment('DAVY_TEST_TOKEN', `${token}x`)).toEqual([]);
});

test('free ports are distinct from those to avoid', async () => {
  const port = await findFreePort();
  expect(port).toBeGreaterThan(0);
  expect(await findFreePort('127.0.0.1', new Set([port]))).not.toBe(port);
  await expect(findFreePort('203.0.113.7')).rejects.toMatchObject({ code: 'lib/no-free-port' });
});

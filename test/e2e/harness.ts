import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clearLeftovers, endLeftovers } from '../../src/leftovers.ts';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { findEndpoint } from '../../src/lib/endpoint.ts';
import { testPort } from '../../src/lib/test-port.fixture.ts';
import type { FleetDoc, ReleaseDoc } from '../../src/server/schemas.ts';

export const DAVY = fileURLToPath(new URL('../../bin/davy.mjs', import.meta.url));
/** The sample service of the examples: honest HTTP, as slow and as faulty as its environment says. */
export const SERVICE_FILE = fileURLToPath(new URL('../../examples/shop/service.mjs', import.meta.url));
const UP_WITHIN_MS = 30_000;
const ANSWER_WITHIN_MS = 5_000;
const POLL_MS = 100;

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A running `davy up` in a folder of its own, and a command line that talks to it. */
export interface Running {
  folder: string;
  dataDir: string;
  port: number;
  process: ChildProcess;
  /** What it said so far on standard error. */
  said(): string;
  davy(...args: string[]): Promise<Outcome>;
  /** A call of its API, with the token of the controller that answers now. */
  api(path: string, init?: RequestInit): Promise<Response>;
  fleet(): Promise<FleetDoc>;
  release(id: string): Promise<ReleaseDoc>;
  /** Polls until the condition holds; fails with the last answer after `withinMs`. */
  until(what: string, condition: (fleet: FleetDoc) => boolean, withinMs: number): Promise<FleetDoc>;
  /** Starts `davy up` again on the same folder and data. */
  again(): Promise<Running>;
  /** Ends everything and removes the folder. */
  end(): Promise<void>;
}

/** Writes the spec into a fresh folder and brings it up; resolves when it says that it is up. */
export async function up(spec: string, parent = tmpdir()): Promise<Running> {
  const folder = mkdtempSync(join(parent, 'davy-e2e-'));
  writeFileSync(join(folder, 'davy.yaml'), spec);
  const port = await testPort();
  return start(folder, port);
}

/** Runs one command to its end. */
export async function davy(args: string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [DAVY, ...args], { cwd: options.cwd, env: options.env ?? process.env });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

async function start(folder: string, port: number): Promise<Running> {
  const dataDir = join(folder, '.davy');
  const child = spawn(process.execPath, [DAVY, 'up', join(folder, 'davy.yaml'), '--port', String(port)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  const isUp = new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes(' is up at ')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`davy up ended with ${code}: ${said}`)));
    setTimeout(() => reject(new Error(`davy up did not come up: ${said}`)), UP_WITHIN_MS).unref();
  });
  const run = (...args: string[]): Promise<Outcome> => davy([...args, '--port', String(port)]);
  const api = (path: string, init: RequestInit = {}): Promise<Response> => {
    const endpoint = findEndpoint(port, process.env);
    const headers = { authorization: `Bearer ${endpoint?.token}`, ...init.headers };
    return fetch(`${endpoint?.url}${path}`, { ...init, headers });
  };
  const fleet = async (): Promise<FleetDoc> => {
    const answer = await api('/api/v1/fleet', { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
    if (!answer.ok) throw new Error(`the fleet was answered with ${answer.status}`);
    return (await answer.json()) as FleetDoc;
  };

  const running: Running = {
    folder,
    dataDir,
    port,
    process: child,
    said: () => said,
    davy: run,
    api,
    fleet,
    async release(id) {
      const found = (await fleet()).releases.find((release) => release.id === id);
      if (!found) throw new Error(`no release ${id}`);
      return found;
    },
    async until(what, condition, withinMs) {
      const deadlineMs = systemClock.monoMs() + withinMs;
      for (;;) {
        const now = await fleet().catch(() => null);
        if (now && condition(now)) return now;
        if (systemClock.monoMs() > deadlineMs)
          throw new Error(`not within ${withinMs} ms: ${what}\n${JSON.stringify(now, null, 1)}\n${said}`);
        await sleep(systemClock, POLL_MS);
      }
    },
    again: () => start(folder, port),
    async end() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await clearLeftovers(dataDir, systemClock);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await isUp.catch(async (error) => {
    await endLeftovers(dataDir, systemClock);
    throw error;
  });
  return running;
}

export function readPid(dataDir: string, file: string): number {
  const document = JSON.parse(readFileSync(join(dataDir, 'run', file), 'utf8')) as {
    pid?: number;
    identity?: { pid: number };
  };
  const pid = document.pid ?? document.identity?.pid;
  if (pid === undefined) throw new Error(`${file} names no process`);
  return pid;
}

/** A spec with one service per line of `services`; every one has v1 and the versions given. */
export function specOf(
  services: Record<string, { port: number; versions: Record<string, Record<string, string | number>> }>,
  policy: string,
): string {
  const lines = ['davy: 1', 'system: e2e', 'services:'];
  for (const [name, { port, versions }] of Object.entries(services)) {
    lines.push(
      `  ${name}:`,
      `    listen: ${port}`,
      '    stable: v1',
      '    health: { path: /q/health, every: 200ms, startWithin: 4s }',
    );
    lines.push('    traffic: { timeout: 5s, canaryHeader: x-canary }', '    release: quick', '    versions:');
    for (const [version, env] of Object.entries({ v1: {}, ...versions })) {
      const values = Object.entries({ SERVICE: name, VERSION: version, LATENCY_MS: 10, ...env });
      const text = values.map(([key, value]) => `${key}: "${value}"`).join(', ');
      lines.push(`      ${version}: { run: "node '${SERVICE_FILE}'", env: { ${text} }, replicas: 2 }`);
    }
  }
  return `${[
    ...lines,
    'policies:',
    '  quick:',
    ...policy
      .trim()
      .split('\n')
      .map((line) => `    ${line}`),
  ].join('\n')}\n`;
}

/** Seconds instead of hours, with margins that some hundred requests can prove. */
export const QUICK_POLICY = `
look: 500ms
steps:
  - { weight: 20%, hold: 3s, limits: { errors: 3%, p95: 250ms } }
  - { weight: 50%, hold: 2s, limits: { errors: 3%, p95: 250ms } }
  - { weight: 100%, hold: 2s, limits: { errors: 3%, p95: 250ms } }
sustained: 2500ms
instant: { errors: 30%, over: 2s, minRequests: 20 }
compare: { falseRollback: 1%, errors: { ratio: 1.1, plus: 0.1pp }, latency: { ratio: 1.2 } }
promote: { confidence: 99%, errors: { ratio: 1.25, plus: 10pp }, latency: { ratio: 2, plus: 20pp } }
warmup: 2s
noData: { hold: 12s, then: rollback }
inconclusive: { hold: 4s, then: hold }
errors: [5xx, timeout, reset]
`;

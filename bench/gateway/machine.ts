import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import net from 'node:net';

/** CPU time of a process, its threads and its children, in µs (schedstat(5): nanoseconds on the run queue's CPU). */
export function cpuMicros(pid: number): number {
  let sum = 0;
  for (const one of [pid, ...childrenOf(pid)]) {
    for (const task of listOf(`/proc/${one}/task`))
      sum += Number(textOf(`/proc/${one}/task/${task}/schedstat`).split(' ')[0] ?? 0);
  }
  return sum / 1000;
}

export function rssMegabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

function childrenOf(pid: number): number[] {
  const direct = textOf(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
  return direct.flatMap((child) => [child, ...childrenOf(child)]);
}

function listOf(dir: string): string[] {
  return existsSync(dir) ? readdirSync(dir) : [];
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function has(program: string): boolean {
  return spawnSync('sh', ['-c', 'command -v "$0"', program]).status === 0;
}

/** Debian packages that the comparison needs. Installs them as root; says what is missing otherwise. */
export function needPrograms(programs: Record<string, string>): string[] {
  const missing = Object.keys(programs).filter((program) => !has(program));
  if (missing.length === 0) return [];
  if (process.getuid?.() === 0 && has('apt-get')) {
    process.stderr.write(`installing ${missing.join(', ')}\n`);
    spawnSync('apt-get', ['update'], { stdio: 'ignore' });
    spawnSync(
      'apt-get',
      ['install', '-y', '--no-install-recommends', ...missing.map((program) => programs[program] as string)],
      { stdio: 'ignore' },
    );
    // The packages start their services; the bench runs its own.
    for (const program of missing) spawnSync('service', [program, 'stop'], { stdio: 'ignore' });
  }
  return missing.filter((program) => !has(program));
}

/** Before the machine's other programs where that is allowed: a time slice of one of them is longer than what is measured. */
export function undisturbed(argv: string[]): string[] {
  return process.getuid?.() === 0 ? ['nice', '-n', '-20', ...argv] : argv;
}

/** Starts a program on one core. The caller ends it. */
export function startOn(core: number, argv: string[]): ChildProcess {
  const [program = '', ...args] = undisturbed(['taskset', '-c', String(core), ...argv]);
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

export async function reachable(port: number, withinMs = 10_000): Promise<void> {
  const endMs = Date.now() + withinMs;
  for (;;) {
    const up = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
    if (up) return;
    if (Date.now() > endMs) throw new Error(`nothing listens on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

export interface LoadResult {
  requests: number;
  seconds: number;
  errors: number;
}

/** wrk on core 0, closed loop, keep-alive. */
export function wrk(url: string, options: { connections: number; seconds: number; headers?: string[] }): LoadResult {
  const headers = (options.headers ?? []).flatMap((line) => ['-H', line]);
  const text = execFileSync('taskset', [
    '-c',
    '0',
    'wrk',
    '-t1',
    `-c${options.connections}`,
    `-d${options.seconds}s`,
    ...headers,
    url,
  ]).toString();
  const [, requests = '0', seconds = '0'] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  const failed = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? '0';
  const socket = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    requests: Number(requests),
    seconds: Number(seconds),
    errors: Number(failed) + socket.reduce((sum, n) => sum + Number(n), 0),
  };
}

/** How much of core 1 others take while we do nothing, 0..1: the noise of the machine. */
export function stolenShare(): number {
  const script =
    'const s=process.hrtime.bigint();const c=process.cpuUsage();while(process.hrtime.bigint()-s<400000000n);const u=process.cpuUsage(c);console.log((u.user+u.system)/400000)';
  const used = Number(execFileSync('taskset', ['-c', '1', process.execPath, '-e', script]).toString());
  return Math.max(0, 1 - used);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? Number.NaN)
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

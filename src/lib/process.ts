import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { type Clock, sleep } from './clock.ts';
import { DavyError, messageOf } from './error.ts';
import { libErrors } from './errors.ts';

/**
 * A process that can be recognised again by another controller. The pid alone is not enough: the system reuses pids,
 * so the start time goes with it (on Linux: boot id and start tick of proc(5); elsewhere `ps -o lstart=`).
 */
export interface ProcessIdentity {
  pid: number;
  startTime: string;
}

export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface StartedProcess {
  identity: ProcessIdentity;
  /** Resolves when the process ends while its starter still lives; never rejects. */
  exited: Promise<ProcessExit>;
}

export interface StartOptions {
  argv: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Standard output and error are appended here. */
  logFile: string;
}

const onLinux = process.platform === 'linux';
const pollMs = 50;

/**
 * Starts a program without a shell, as the leader of a new session, with its output in a file: it survives the caller
 * and the caller's terminal. Rejects with `lib/spawn-failed` when the program cannot be run.
 */
export async function startProcess(options: StartOptions): Promise<StartedProcess> {
  const [program, ...args] = options.argv;
  if (program === undefined) throw new DavyError(libErrors['spawn-failed'], 'The command to start is empty.');
  mkdirSync(dirname(options.logFile), { recursive: true });
  const logFd = openSync(options.logFile, 'a', 0o600);
  try {
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env,
      detached: true,
      shell: false,
      stdio: ['ignore', logFd, logFd],
    });
    // Read before the event loop turns: even a child that has ended already still has its /proc entry then.
    const startTime = child.pid === undefined ? null : readStartTime(child.pid);
    const exited = exitOf(child);
    await spawned(child, program);
    child.unref();
    return { identity: { pid: child.pid!, startTime: startTime ?? 'gone' }, exited };
  } finally {
    closeSync(logFd);
  }
}

function spawned(child: ChildProcess, program: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(
        new DavyError(libErrors['spawn-failed'], `Cannot run "${program}": ${messageOf(error)}.`, { cause: error }),
      ),
    );
  });
}

function exitOf(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: null, signal: null }));
  });
}

/** The identity of a running process, or null when there is none with this pid. */
export function identify(pid: number): ProcessIdentity | null {
  const startTime = readStartTime(pid);
  return startTime === null ? null : { pid, startTime };
}

/** True while exactly this process runs. A zombie does not run: it holds no port and answers nobody. */
export function isSame(identity: ProcessIdentity): boolean {
  return readStartTime(identity.pid, 'running') === identity.startTime;
}

/** True while exactly this process stands still (SIGSTOP). */
export function isStopped(identity: ProcessIdentity): boolean {
  if (!isSame(identity)) return false;
  if (onLinux) return readProcStat(identity.pid)?.state === 'T';
  return readPs(identity.pid)?.state.startsWith('T') ?? false;
}

/**
 * How often the main thread of a process left a processor, by itself or not (proc(5), `/proc/PID/status`). One that stands still adds
 * nothing, and one that was continued adds at least 1, however briefly it ran. Null where the system does not say.
 */
export function contextSwitches(pid: number): number | null {
  const counts = [
    ...(readProcFile(`/proc/${pid}/status`) ?? '').matchAll(/^(?:non)?voluntary_ctxt_switches:\s*(\d+)$/gm),
  ];
  return counts.length === 0 ? null : counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Sends a signal to the process and everything in its group. False when the process is gone. */
export function signalGroup(identity: ProcessIdentity, signal: NodeJS.Signals): boolean {
  return isSame(identity) && trySignal(-identity.pid, signal);
}

/**
 * Ends what `startProcess` started: SIGTERM to the whole process group, SIGKILL to what is left after `graceMs`.
 * Resolves when the group is gone; a process that is gone already is not an error.
 */
export async function terminate(identity: ProcessIdentity, options: { graceMs: number; clock: Clock }): Promise<void> {
  const { clock, graceMs } = options;
  const deadlineMs = clock.monoMs() + graceMs;
  if (!signalGroup(identity, 'SIGTERM')) return killLeftovers(identity);
  while (isSame(identity) || groupRuns(identity.pid)) {
    // Past the deadline the kernel needs a moment to take the processes down; repeating SIGKILL is harmless.
    if (clock.monoMs() >= deadlineMs) trySignal(-identity.pid, 'SIGKILL');
    await sleep(clock, pollMs);
  }
}

/** Kills what a dead group leader left behind (a wrapper such as `npm` may die before its child). */
export function killLeftovers(identity: ProcessIdentity): void {
  // While a member of the group lives, the kernel does not give the leader's pid away; a pid in use again is not ours.
  if (identify(identity.pid) !== null && !isZombie(identity.pid)) return;
  trySignal(-identity.pid, 'SIGKILL');
}

/** Pids of processes that were started with `name=value` in their environment. Linux only; elsewhere none. */
export function findByEnvironment(name: string, value: string): ProcessIdentity[] {
  if (!onLinux) return [];
  const wanted = `${name}=${value}`;
  const found: ProcessIdentity[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const environment = readProcFile(`/proc/${entry}/environ`);
    if (!environment?.split('\0').includes(wanted)) continue;
    const identity = identify(Number(entry));
    if (identity !== null) found.push(identity);
  }
  return found;
}

/** A TCP port on `host` that is free now and not in `avoid`. Another program may still take it before its user binds. */
export async function findFreePort(host = '127.0.0.1', avoid: ReadonlySet<number> = new Set()): Promise<number> {
  const triesMax = 100;
  for (let i = 0; i < triesMax; i++) {
    const port = await askForPort(host);
    if (!avoid.has(port)) return port;
  }
  throw new DavyError(libErrors['no-free-port'], `No free port on ${host} was found in ${triesMax} tries.`);
}

function askForPort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) =>
      reject(new DavyError(libErrors['no-free-port'], `No port on ${host} can be opened: ${messageOf(error)}.`)),
    );
    server.listen({ host, port: 0, exclusive: true }, () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

function trySignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    // ESRCH: gone between the check and the signal. EPERM: not ours, so nothing we started.
    return false;
  }
}

function readStartTime(pid: number, mustRun?: 'running'): string | null {
  if (!onLinux) return readStartTimeFromPs(pid, mustRun);
  const stat = readProcStat(pid);
  if (stat === null || (mustRun && isDeadState(stat.state))) return null;
  return `${bootId()}:${stat.startTicks}`;
}

function readStartTimeFromPs(pid: number, mustRun?: 'running'): string | null {
  const found = readPs(pid);
  return found === null || (mustRun && found.state.startsWith('Z')) ? null : found.startTime;
}

function readPs(pid: number): { state: string; startTime: string } | null {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    const match = /^(\S+)\s+(.+)$/.exec(line);
    return match && { state: match[1]!, startTime: match[2]! };
  } catch {
    return null;
  }
}

function isZombie(pid: number): boolean {
  return readStartTime(pid) !== null && readStartTime(pid, 'running') === null;
}

const isDeadState = (state: string): boolean => state === 'Z' || state === 'X';

/** proc(5): the command in field 2 may hold spaces and brackets, so fields are counted after the last bracket. */
function readProcStat(pid: number | string): { state: string; group: number; startTicks: string } | null {
  const text = readProcFile(`/proc/${pid}/stat`);
  if (text === null) return null;
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0]!, group: Number(fields[2]), startTicks: fields[19]! };
}

/** True while a running process belongs to the group. Zombies that nobody reaps would keep `kill(-pid, 0)` true for ever. */
function groupRuns(group: number): boolean {
  if (!onLinux) return trySignal(-group, 0 as unknown as NodeJS.Signals);
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = readProcStat(entry);
    if (stat !== null && stat.group === group && !isDeadState(stat.state)) return true;
  }
  return false;
}

let cachedBootId: string | undefined;

function bootId(): string {
  cachedBootId ??= readProcFile('/proc/sys/kernel/random/boot_id')?.trim() ?? 'unknown-boot';
  return cachedBootId;
}

function readProcFile(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // The process ended meanwhile, or belongs to another user: either way not one of ours.
    return null;
  }
}

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Clock, sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import type { Log } from '../lib/log.ts';
import { rotateLog } from '../lib/log-file.ts';
import { identify, isSame, type ProcessIdentity, startProcess, terminate } from '../lib/process.ts';
import { writeFileAtomic } from '../lib/write-file.ts';
import { trafficErrors } from './errors.ts';
import { GatewayAdmin, readGatewayConnection } from './gateway-admin.ts';

const ENTRY = fileURLToPath(new URL('../gateway/main.ts', import.meta.url));
/** A young generation of 8 MB: half as many collections, under 1 % of the gateway's time. */
const NODE_OPTIONS = ['--min-semi-space-size=8'];
const READY_WITHIN_MS = 15_000;
/** A successor starts and takes over in this time, or the gateway goes on as it was. */
const RESTART_WITHIN_MS = 28_000;
const POLL_MS = 25;
const WATCH_EVERY_MS = 100;
const FIRST_BACK_OFF_MS = 50;
const MAX_BACK_OFF_MS = 5000;
/** A gateway that lived this long starts again without waiting. */
const STEADY_AFTER_MS = 30_000;
/** The gateway finishes its requests in this time before it is killed. */
const DRAIN_GRACE_MS = 10_000;

export interface GatewayProcessOptions {
  runDir: string;
  logDir: string;
  clock: Clock;
  log: Log;
  /** Processes that share the ports; 1 if absent. */
  gateways?: number;
}

/** The gateway's own process: it outlives the controller, is adopted by the next one, and comes back when it dies. */
export interface GatewayProcess {
  pid(): number | null;
  /** How often it was started again after it had died. */
  restarts(): number;
  /**
   * Puts a new process in its place while requests go on; resolves when that one serves. Rejects with `traffic/restart-failed` or
   * `traffic/unreachable`; then the process before goes on, unless it had died.
   */
  renew(): Promise<{ pid: number }>;
  stop(options?: { leaveRunning?: boolean }): Promise<void>;
}

/** Adopts the gateway that an earlier controller left, or starts one; resolves when its admin address is known. */
export async function superviseGateway(options: GatewayProcessOptions): Promise<GatewayProcess> {
  const { runDir, clock, log } = options;
  const recordFile = join(runDir, 'gateway-process.json');
  const stopped = new AbortController();
  let restarts = 0;
  let current = readRunning(runDir, recordFile);
  if (current) log.info({ pid: current.pid }, 'the running gateway was adopted');
  else current = await launch(options, recordFile);

  async function watch(): Promise<void> {
    let backOffMs = FIRST_BACK_OFF_MS;
    let startedAtMs = clock.monoMs();
    while (!stopped.signal.aborted) {
      await sleep(clock, WATCH_EVERY_MS, stopped.signal).catch(() => {});
      if (stopped.signal.aborted || (current && isSame(current))) continue;
      const successor = announcedProcess(runDir);
      if (successor !== null) {
        // It took over, and the answer that says so was lost.
        adopt(successor);
        continue;
      }
      if (clock.monoMs() - startedAtMs > STEADY_AFTER_MS) backOffMs = FIRST_BACK_OFF_MS;
      log.warn({ pid: current?.pid, restarts }, 'the gateway died; starting it again');
      await sleep(clock, backOffMs, stopped.signal).catch(() => {});
      if (stopped.signal.aborted) return;
      backOffMs = Math.min(MAX_BACK_OFF_MS, backOffMs * 2);
      startedAtMs = clock.monoMs();
      restarts += 1;
      current = await launch(options, recordFile).catch((error) => {
        log.error({ error: messageOf(error) }, 'the gateway could not be started');
        return null;
      });
    }
  }
  const watching = watch();

  function adopt(successor: ProcessIdentity): void {
    current = successor;
    writeFileAtomic(recordFile, JSON.stringify(successor));
    log.info({ pid: successor.pid }, 'another process has taken the place of the gateway');
  }

  async function renew(): Promise<{ pid: number }> {
    const admin = new GatewayAdmin({ runDir });
    try {
      const { pid } = (await admin.callOnce('POST', '/restart', RESTART_WITHIN_MS)) as { pid: number };
      const successor = identify(pid);
      if (successor === null) throw new DavyError(trafficErrors['restart-failed'], `Process ${pid} ended at once.`);
      adopt(successor);
      return { pid };
    } finally {
      await admin.close();
    }
  }

  return {
    renew,
    pid: () => current?.pid ?? null,
    restarts: () => restarts,
    async stop({ leaveRunning = false } = {}) {
      stopped.abort();
      await watching;
      if (leaveRunning || !current) return;
      // One that took over a moment ago, should its answer have been lost.
      current = announcedProcess(runDir) ?? current;
      await terminate(current, { graceMs: DRAIN_GRACE_MS, clock });
      rmSync(recordFile, { force: true });
    },
  };
}

/** The process that serves says so itself, also when it took over while no controller ran. */
function announcedProcess(runDir: string): ProcessIdentity | null {
  try {
    const { pid, startTime } = readGatewayConnection(runDir);
    const identity = startTime == null ? null : { pid, startTime };
    return identity !== null && isSame(identity) ? identity : null;
  } catch {
    return null;
  }
}

function readRunning(runDir: string, recordFile: string): ProcessIdentity | null {
  const announced = announcedProcess(runDir);
  if (announced !== null) {
    writeFileAtomic(recordFile, JSON.stringify(announced));
    return announced;
  }
  try {
    const identity = JSON.parse(readFileSync(recordFile, 'utf8')) as ProcessIdentity;
    return isSame(identity) ? identity : null;
  } catch {
    return null;
  }
}

async function launch(options: GatewayProcessOptions, recordFile: string): Promise<ProcessIdentity> {
  const { runDir, logDir, clock } = options;
  const logFile = join(logDir, 'gateway.log');
  rotateLog(logFile);
  rmSync(join(runDir, 'gateway.json'), { force: true });
  const argv = [
    process.execPath,
    ...NODE_OPTIONS,
    ENTRY,
    '--run-dir',
    runDir,
    '--gateways',
    String(options.gateways ?? 1),
  ];
  // Compiled code is kept: the second start is faster and leaves the type stripper (40 MB) out.
  const env = { NODE_COMPILE_CACHE: join(runDir, 'compile-cache'), ...process.env };
  const started = await startProcess({ argv, cwd: runDir, env, logFile });
  writeFileAtomic(recordFile, JSON.stringify(started.identity));
  const deadlineMs = clock.monoMs() + READY_WITHIN_MS;
  while (!announced(runDir, started.identity.pid)) {
    if (!isSame(started.identity) || clock.monoMs() > deadlineMs) {
      throw new DavyError(trafficErrors['gateway-not-started'], `The gateway did not come up; its log is ${logFile}.`);
    }
    await sleep(clock, POLL_MS);
  }
  return started.identity;
}

/** The gateway writes its admin address and token when it can be talked to. */
function announced(runDir: string, pid: number): boolean {
  try {
    return (JSON.parse(readFileSync(join(runDir, 'gateway.json'), 'utf8')) as { pid: number }).pid === pid;
  } catch {
    return false;
  }
}

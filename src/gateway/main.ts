/**
 * The gateway process: `node src/gateway/main.ts --run-dir DIR [--gateways N]`. It writes `DIR/gateway.json` with its admin address and
 * token, serves nothing until a table is put, outlives the controller, and ends by SIGTERM, SIGINT or `POST /drain`
 * after it has answered what is in progress; `POST /restart` puts a new process in its place. It keeps no table on disk: the ledger is the
 * truth.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/error.ts';
import { term } from '../lib/outside-text/terminal.ts';
import { identify } from '../lib/process.ts';
import { startAdmin } from './admin/server.ts';
import { limits } from './limits.ts';
import { descriptors } from './net/descriptors.ts';
import { refuseFastReadsOf } from './net/fast-path.ts';
import { checkRuntime } from './net/runtime-check.ts';
import type { Plane } from './plane.ts';
import { answerPredecessor, type Heritage, noPast, receiveHeritage } from './succession/predecessor.ts';
import { Successor } from './succession/successor.ts';
import { Hub } from './workers/hub.ts';
import { singlePlane } from './workers/single.ts';
import { runWorker } from './workers/worker.ts';

const MAX_GATEWAYS = 64;

interface Options {
  runDir: string;
  count: number;
  /** This process takes the place of its parent. */
  heir: boolean;
}

async function main(): Promise<void> {
  descriptors.log = (sentence) => process.stderr.write(String(term`gateway: ${sentence}\n`));
  const { values } = parseArgs({
    options: {
      'run-dir': { type: 'string' },
      gateways: { type: 'string' },
      heir: { type: 'boolean', default: false },
      worker: { type: 'boolean', default: false },
      'by-events': { type: 'string', default: '' },
    },
  });
  // A worker of `--gateways N`, with what its parent has found that must be read by events.
  if (values.worker) {
    refuseFastReadsOf(values['by-events']);
    runWorker(process.env.DAVY_STICKY_KEY ?? '');
    return;
  }
  const runDir = values['run-dir'];
  if (runDir === undefined) throw new Error('--run-dir DIR is required.');
  const count = Number(values.gateways ?? 1);
  if (!Number.isInteger(count) || count < 1 || count > MAX_GATEWAYS)
    throw new Error(`--gateways must be 1 to ${MAX_GATEWAYS}.`);
  await run({ runDir, count, heir: values.heir });
}

async function run(options: Options): Promise<void> {
  const { runDir, count } = options;
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  for (const finding of await checkRuntime()) process.stderr.write(String(term`gateway: ${finding}\n`));
  const key = stickyKey(join(runDir, 'sticky.key'));
  const heritage = options.heir ? await receiveHeritage() : null;
  const plane = count === 1 ? singlePlane(key, heritage) : new Hub(import.meta.filename, count, key, heritage);
  await plane.ready();
  if (heritage !== null) await takeOver(plane, heritage);
  const life = new Life(plane, heritage, options);
  await life.announce();
  if (heritage !== null) answerPredecessor(null);

  // A successor then starts without the type stripper: faster, and with 40 MB less.
  flushCompileCache();
  process.on('SIGTERM', () => void life.stop());
  process.on('SIGINT', () => void life.stop());
  // The terminal that started us may go away; traffic goes on.
  process.on('SIGHUP', () => {});
}

/** What cannot be taken over whole is not taken over: the process before goes on. */
async function takeOver(plane: Plane, { estate, sockets }: Heritage): Promise<void> {
  await plane.adopt(estate, sockets).catch((error: unknown) => {
    answerPredecessor(messageOf(error));
    throw error;
  });
}

/** From the announcement to the end, or to the handing over. */
class Life {
  private readonly plane: Plane;
  private readonly heritage: Heritage | null;
  private readonly options: Options;
  private readonly file: string;
  private admin: Awaited<ReturnType<typeof startAdmin>> | null = null;
  private announced: object = {};
  private phase: 'serving' | 'handing over' | 'leaving' | 'stopping' = 'serving';

  constructor(plane: Plane, heritage: Heritage | null, options: Options) {
    this.plane = plane;
    this.heritage = heritage;
    this.options = options;
    this.file = join(options.runDir, 'gateway.json');
  }

  async announce(): Promise<void> {
    const token = randomBytes(32).toString('base64url');
    this.admin = await startAdmin(this.plane, token, {
      drain: () => void this.stop(),
      restart: () => this.restart(),
    });
    this.announced = {
      pid: process.pid,
      startTime: identify(process.pid)?.startTime ?? null,
      startedAtMs: Date.now(),
      bootId: this.plane.bootId,
      adminHost: this.admin.host,
      adminPort: this.admin.port,
      token,
    };
    publish(this.file, this.announced);
  }

  async stop(): Promise<void> {
    // One that leaves ends by itself, and its successor has the ports.
    if (this.phase === 'stopping' || this.phase === 'leaving') return;
    this.phase = 'stopping';
    const past = this.heritage?.past ?? noPast;
    await Promise.all([this.plane.drain(limits.stopMs), past.ended(limits.stopMs)]);
    this.admin?.close();
    unpublish(this.file);
    process.exit(0);
  }

  private async restart(): Promise<{ pid: number; afterwards: () => void }> {
    if (this.phase !== 'serving') throw new Error(`The gateway is ${this.phase}.`);
    this.phase = 'handing over';
    try {
      const { runDir, count } = this.options;
      const args = ['--run-dir', runDir, '--gateways', String(count), '--heir'];
      const successor = await Successor.start(import.meta.filename, args);
      await this.handOver(successor);
      // Before the answer: whoever has it connects to the successor, and spends no token of this process's limiter.
      await this.plane.closePorts();
      return { pid: successor.pid, afterwards: () => void this.leave(successor) };
    } catch (error) {
      if (this.phase === 'handing over') this.phase = 'serving';
      throw error;
    }
  }

  /** From here to its end no table, lease or fault is taken: each comes before, or reaches the successor. */
  private async handOver(successor: Successor): Promise<void> {
    await this.admin?.hold();
    try {
      const { estate, sockets } = await this.plane.estate();
      successor.accompany(this.plane);
      await successor.takeOver(estate, sockets);
      // A SIGTERM meanwhile was meant for the gateway, whoever serves it.
      if (this.phase === 'stopping') throw new Error('The gateway is stopping.');
      this.phase = 'leaving';
    } catch (error) {
      successor.kill();
      publish(this.file, this.announced);
      this.admin?.release();
      throw error;
    }
  }

  /** Calls that were held fail now: their callers find the successor's address and repeat them there. */
  private async leave(successor: Successor): Promise<void> {
    this.admin?.close();
    const past = this.heritage?.past ?? noPast;
    await Promise.all([this.plane.drain(limits.drainMs), past.ended(limits.drainMs)]);
    await successor.settle(this.plane);
    process.exit(0);
  }
}

/** The key that signs sticky places: made once, so that clients keep their places over a restart. */
function stickyKey(file: string): Buffer {
  try {
    const key = readFileSync(file);
    if (key.length === 32) return key;
  } catch {
    // The first start in this folder.
  }
  const key = randomBytes(32);
  writeFileSync(file, key, { mode: 0o600 });
  return key;
}

/** Written whole or not at all, readable by its owner only: it holds the token. */
function publish(file: string, content: object): void {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, `${JSON.stringify(content)}\n`, { mode: 0o600 });
  renameSync(temporary, file);
}

/** Removes the file if it is still ours: a successor may have written its own. */
function unpublish(file: string): void {
  try {
    const { pid } = JSON.parse(readFileSync(file, 'utf8')) as { pid: number };
    if (pid === process.pid) rmSync(file);
  } catch {
    // Gone already.
  }
}

main().catch((error: unknown) => {
  process.stderr.write(String(term`gateway: ${messageOf(error)}\n`));
  process.exit(1);
});

/**
 * The gateway process: `node src/gateway/main.ts --run-dir DIR [--gateways N]`. It writes `DIR/gateway.json` with its admin address and
 * token, serves nothing until a table is put, outlives the controller, and ends by SIGTERM, SIGINT or `POST /drain`
 * after it has answered what is in progress. It keeps no table on disk: the ledger is the truth.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/error.ts';
import { startAdmin } from './admin/server.ts';
import { Hub } from './workers/hub.ts';
import { singlePlane } from './workers/single.ts';
import { runWorker } from './workers/worker.ts';

const MAX_GATEWAYS = 64;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      'run-dir': { type: 'string' },
      gateways: { type: 'string' },
      worker: { type: 'string' },
      successor: { type: 'boolean', default: false },
    },
  });
  // A worker of `--gateways N`: its argument is N.
  if (values.worker !== undefined) {
    const part = { share: 1 / Number(values.worker), full: !values.successor };
    runWorker(part, process.env.DAVY_STICKY_KEY ?? '');
    return;
  }
  const runDir = values['run-dir'];
  if (runDir === undefined) throw new Error('--run-dir DIR is required.');
  const count = Number(values.gateways ?? 1);
  if (!Number.isInteger(count) || count < 1 || count > MAX_GATEWAYS)
    throw new Error(`--gateways must be 1 to ${MAX_GATEWAYS}.`);
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const key = stickyKey(join(runDir, 'sticky.key'));
  const plane = count === 1 ? singlePlane(key) : new Hub(import.meta.filename, count, key);
  const token = randomBytes(32).toString('base64url');
  const admin = await startAdmin(plane, token, () => void stop());
  const file = join(runDir, 'gateway.json');
  const startedAtMs = Date.now();
  publish(file, {
    pid: process.pid,
    startedAtMs,
    bootId: plane.bootId,
    adminHost: admin.host,
    adminPort: admin.port,
    token,
  });

  // A successor then starts without the type stripper: faster, and with 40 MB less.
  flushCompileCache();

  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    await plane.drain();
    admin.close();
    unpublish(file, plane.bootId);
    process.exit(0);
  }
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  // The terminal that started us may go away; traffic goes on.
  process.on('SIGHUP', () => {});
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
function unpublish(file: string, bootId: string): void {
  try {
    if (readFileSync(file, 'utf8').includes(bootId)) rmSync(file);
  } catch {
    // Gone already.
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`gateway: ${messageOf(error)}\n`);
  process.exit(1);
});

/**
 * The gateway process: `node src/gateway/main.ts --run-dir DIR`. It writes `DIR/gateway.json` with its admin address and
 * token, serves nothing until a table is put, outlives the controller, and ends by SIGTERM, SIGINT or `POST /drain`
 * after it has answered what is in progress. It keeps no table on disk: the ledger is the truth.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../lib/error.ts';
import { startAdmin } from './admin/server.ts';
import { Engine } from './engine.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { 'run-dir': { type: 'string' } } });
  const runDir = values['run-dir'];
  if (runDir === undefined) throw new Error('--run-dir DIR is required.');
  const engine = new Engine();
  const token = randomBytes(32).toString('base64url');
  const admin = await startAdmin(engine, token, () => void stop());
  const file = join(runDir, 'gateway.json');
  mkdirSync(runDir, { recursive: true, mode: 0o700 });
  const startedAtMs = Date.now();
  publish(file, {
    pid: process.pid,
    startedAtMs,
    bootId: engine.bootId,
    adminHost: admin.host,
    adminPort: admin.port,
    token,
  });

  let stopping = false;
  async function stop(): Promise<void> {
    if (stopping) return;
    stopping = true;
    await engine.drain();
    admin.close();
    unpublish(file, engine.bootId);
    process.exit(0);
  }
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  // The terminal that started us may go away; traffic goes on.
  process.on('SIGHUP', () => {});
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

import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { type ProcessIdentity, terminate } from '../lib/process.ts';

const GRACE_MS = 3000;

/**
 * Ends the gateway and the instances that a demo left behind when it was killed, and empties its folder: every demo
 * starts from nothing. Call it only when no controller holds the folder's ledger.
 */
export async function clearLeftovers(dataDir: string, clock: Clock): Promise<void> {
  await stopLeftovers(dataDir, clock);
  rmSync(dataDir, { recursive: true, force: true });
}

/** Ends the processes alone. */
export async function stopLeftovers(dataDir: string, clock: Clock): Promise<void> {
  const runDir = join(dataDir, 'run');
  const found = [identityIn(join(runDir, 'gateway-process.json'))];
  for (const name of filesIn(join(runDir, 'instances'))) found.push(identityIn(join(runDir, 'instances', name)));
  await Promise.all(found.filter((one) => one !== null).map((one) => terminate(one, { graceMs: GRACE_MS, clock })));
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Both kinds of files hold a process identity, one of them under `identity`. */
function identityIn(file: string): ProcessIdentity | null {
  try {
    const document = JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity & { identity?: ProcessIdentity | null };
    return document.identity ?? ('startTime' in document ? document : null);
  } catch {
    return null;
  }
}

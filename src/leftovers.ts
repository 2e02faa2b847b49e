import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { lockFolder } from './ledger/lock.ts';
import type { Clock } from './lib/clock.ts';
import { isSame, type ProcessIdentity, terminate } from './lib/process.ts';

/** The gateway answers what is in progress in this time; its instances are still there meanwhile. */
const GATEWAY_GRACE_MS = 10_000;
const INSTANCE_GRACE_MS = 3_000;

/** Processes of a data folder that run, whoever started them. */
interface Leftovers {
  gateway: ProcessIdentity | null;
  instances: ProcessIdentity[];
}

/** What runs now of what a controller noted in the folder. */
function findLeftovers(dataDir: string): Leftovers {
  const runDir = join(dataDir, 'run');
  const files = filesIn(join(runDir, 'instances')).map((name) => join(runDir, 'instances', name));
  const [gateway = null] = ['gateway.json', 'gateway-process.json'].flatMap((name) => runningIn(join(runDir, name)));
  return { gateway, instances: files.flatMap(runningIn) };
}

/** True while a gateway or an instance of the folder runs: then a controller that fails must let go of it. */
export function anythingRuns(dataDir: string): boolean {
  const { gateway, instances } = findLeftovers(dataDir);
  return gateway !== null || instances.length > 0;
}

/**
 * Ends the gateway, then the instances that answered its last requests. Rejects with `ledger/locked` while a controller
 * holds the folder: then they are not left over.
 */
export async function endLeftovers(dataDir: string, clock: Clock): Promise<void> {
  const unlock = await lockFolder(join(dataDir, 'ledger'));
  try {
    const { gateway, instances } = findLeftovers(dataDir);
    if (gateway) await terminate(gateway, { graceMs: GATEWAY_GRACE_MS, clock });
    await Promise.all(instances.map((one) => terminate(one, { graceMs: INSTANCE_GRACE_MS, clock })));
  } finally {
    await unlock();
  }
}

/** Ends what is left over and removes the folder: every demo starts from nothing. */
export async function clearLeftovers(dataDir: string, clock: Clock): Promise<void> {
  await endLeftovers(dataDir, clock);
  rmSync(dataDir, { recursive: true, force: true });
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** All of these files hold a process identity, the instances' under `identity`. */
function runningIn(file: string): ProcessIdentity[] {
  try {
    const document = JSON.parse(readFileSync(file, 'utf8')) as Partial<ProcessIdentity> & {
      identity?: ProcessIdentity | null;
    };
    const { pid, startTime } = document.identity ?? document;
    if (typeof pid !== 'number' || typeof startTime !== 'string') return [];
    return isSame({ pid, startTime }) ? [{ pid, startTime }] : [];
  } catch {
    return [];
  }
}

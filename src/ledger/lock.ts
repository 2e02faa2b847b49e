import fs from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { DavyError, messageOf } from '../lib/error.ts';
import { errorCode } from './disk.ts';
import { ledgerErrors } from './errors.ts';

type Release = () => Promise<void>;

/** Magic numbers of statfs(2) for mounts where fdatasync and link() do not mean what the ledger needs. */
const REMOTE_FILE_SYSTEMS = new Map<number, string>([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'Ceph'],
  [0x01021997, '9P'],
]);

async function refuseRemote(dir: string): Promise<void> {
  const type = (await fs.statfs(dir)).type >>> 0;
  const name = REMOTE_FILE_SYSTEMS.get(type);
  if (name) throw new DavyError(ledgerErrors['remote-disk'], `${dir} is on a ${name} mount.`);
}

function lockedError(dir: string, cause?: unknown): DavyError {
  return new DavyError(ledgerErrors.locked, `${dir} is open in another process.`, { cause });
}

/** The kernel frees an abstract socket when its process dies, whatever killed it; nothing is left to clean up. */
function lockByAbstractSocket(name: string, dir: string): Promise<Release> {
  return new Promise((resolve, reject) => {
    const server = net.createServer((socket) => socket.destroy());
    server.once('error', (error) => reject(errorCode(error) === 'EADDRINUSE' ? lockedError(dir, error) : error));
    server.listen({ path: `\0${name}` }, () => {
      server.unref();
      resolve(() => new Promise((done) => server.close(() => done())));
    });
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** Elsewhere than Linux: a file with the holder's pid, taken over when that process is gone. */
async function lockByPidFile(dir: string): Promise<Release> {
  const path = join(dir, 'lock');
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await fs.writeFile(path, `${process.pid}\n`, { flag: 'wx' });
      return () => fs.rm(path, { force: true });
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') throw error;
    }
    const holder = Number((await fs.readFile(path, 'utf8').catch(() => '')).trim());
    if (Number.isInteger(holder) && holder > 0 && isAlive(holder)) throw lockedError(dir);
    await fs.rm(path, { force: true });
  }
  throw lockedError(dir);
}

/**
 * One writer per ledger folder on this machine. The socket's name is per network namespace, so writers in two containers
 * are kept apart by their terms and the size check instead.
 */
export async function lockFolder(dir: string): Promise<Release> {
  await fs.mkdir(dir, { recursive: true });
  await refuseRemote(dir);
  if (process.platform !== 'linux') return lockByPidFile(dir);
  const { dev, ino } = await fs.stat(dir);
  try {
    return await lockByAbstractSocket(`davy-ledger-${dev}-${ino}`, dir);
  } catch (error) {
    if (error instanceof DavyError) throw error;
    throw new DavyError(ledgerErrors.locked, `${dir} could not be locked: ${messageOf(error)}.`, { cause: error });
  }
}

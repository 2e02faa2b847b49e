import { chmodSync, lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { writeFileAtomic } from './write-file.ts';

/** How a command finds a running Davy from any folder: a private file per port, readable by its user alone. */
export interface Endpoint {
  url: string;
  token: string;
  dataDir: string;
  pid: number;
}

/** The user's own folder for these files; null when somebody else made it first (then it is not to be trusted). */
function endpointFolder(env: Record<string, string | undefined>): string | null {
  const uid = userInfo().uid;
  const base = env.XDG_RUNTIME_DIR;
  const folder = base ? join(base, 'davy') : join(tmpdir(), `davy-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const info = lstatSync(folder);
  if (!info.isDirectory() || (uid >= 0 && info.uid !== uid)) return null;
  chmodSync(folder, 0o700);
  return folder;
}

export function publishEndpoint(port: number, endpoint: Endpoint, env: Record<string, string | undefined>): void {
  const folder = endpointFolder(env);
  if (folder) writeFileAtomic(join(folder, `${port}.json`), JSON.stringify(endpoint), 0o600);
}

export function withdrawEndpoint(port: number, env: Record<string, string | undefined>): void {
  const folder = endpointFolder(env);
  if (folder) rmSync(join(folder, `${port}.json`), { force: true });
}

export function findEndpoint(port: number, env: Record<string, string | undefined>): Endpoint | null {
  const folder = endpointFolder(env);
  if (!folder) return null;
  try {
    return JSON.parse(readFileSync(join(folder, `${port}.json`), 'utf8')) as Endpoint;
  } catch {
    return null;
  }
}

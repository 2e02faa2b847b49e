import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

/** Where distributions put Chromium. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The browser's path; as root it is installed with apt-get when it is missing. Null when there is none. */
export function findChromium(): string | null {
  return findOrInstall(PLACES, 'chromium');
}

/** The path of a program that Debian's package of the same name, or of the name given, brings. Null when there is none. */
export function findProgram(name: string, debianPackage = name): string | null {
  const folders = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/opt/homebrew/bin'];
  return findOrInstall(
    folders.map((folder) => `${folder}/${name}`),
    debianPackage,
  );
}

function findOrInstall(places: readonly string[], debianPackage: string): string | null {
  const found = (): string | null => places.find((path) => existsSync(path)) ?? null;
  const already = found();
  if (already !== null || process.platform !== 'linux' || process.getuid?.() !== 0) return already;
  const install = (): boolean => aptGet('install', '-y', '--no-install-recommends', debianPackage);
  if (!install() && aptGet('update')) install();
  // A package may start its service; the tests run their own.
  spawnSync('service', [debianPackage, 'stop'], { stdio: 'ignore' });
  return found();
}

function aptGet(...args: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', args, { stdio: 'ignore', env, timeout: 240_000 }).status === 0;
}

/** A missing engine skips on a laptop, and fails where `CI` says that everything must run. */
export function mustHave(engine: string | null, name: string): boolean {
  if (engine === null && process.env.CI === 'true')
    throw new Error(`${name} is missing, and CI=true allows no skipping.`);
  return engine !== null;
}

export function openBrowser(path: string): Promise<Browser> {
  return chromium.launch({ executablePath: path, args: FLAGS });
}

// Completes package-lock.json with optional packages for other platforms. A registry mirror that does not carry them
// makes `npm install` leave them out of the lock file, and then `npm ci` refuses the file everywhere.
// Without arguments: fails when entries are missing. `--write`: adds them (npm checks them when it installs them).
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const file = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const lock = JSON.parse(readFileSync(file, 'utf8'));
const PLATFORM = /(android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|aix|win32)/;
const CPU = /-(arm64|x64|ia32|arm|ppc64|riscv64|s390x|loong64|mips64el)/;

const missing = new Map();
for (const entry of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const present = Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`));
    if (!present && PLATFORM.test(name)) missing.set(name, { version, dev: entry.dev === true });
  }
}
if (!process.argv.includes('--write')) {
  for (const name of missing.keys())
    console.error(`package-lock.json: no entry for ${name}; run node scripts/complete-lock.mjs --write`);
  process.exit(missing.size === 0 ? 0 : 1);
}
for (const [name, { version, dev }] of missing) {
  const os = PLATFORM.exec(name)?.[1];
  const cpu = CPU.exec(name)?.[1];
  const libc = /musl/.test(name) ? 'musl' : /gnu/.test(name) ? 'glibc' : undefined;
  lock.packages[`node_modules/${name}`] = {
    version: version.replace(/^[\^~]/, ''),
    ...(cpu ? { cpu: [cpu] } : {}),
    ...(dev ? { dev: true } : {}),
    ...(libc ? { libc: [libc] } : {}),
    optional: true,
    ...(os ? { os: [os] } : {}),
  };
}
const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
lock.packages = Object.fromEntries(sorted);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.error(`package-lock.json: ${missing.size} entries added`);

#!/usr/bin/env node
// Davy's sources are TypeScript that Node.js 24 runs as they are. This launcher finds that runtime among the installed
// packages, so that `davy` works from any folder and on machines whose own Node.js is older.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const main = `${root}src/main.ts`;
const bundled = `${root}node_modules/node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}/bin/node`;
const ownIsNewEnough = Number(process.versions.node.split('.')[0]) >= 24;

if (!existsSync(`${root}node_modules`)) {
  console.error('davy: the dependencies are not installed yet. Run `npm run setup` in the clone first.');
  process.exit(2);
}
if (!ownIsNewEnough && !existsSync(bundled)) {
  console.error(
    `davy: Node.js 24 is needed; this is ${process.version} and no bundled runtime fits ${process.platform}-${process.arch}.`,
  );
  process.exit(2);
}

if (ownIsNewEnough) {
  // Compiled once and kept beside the packages: a command then starts in half the time. Where nothing can be written it starts without.
  nodeModule.enableCompileCache(`${root}node_modules/.cache/davy`);
  await import(main);
} else {
  const child = spawn(bundled, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    if (signal) process.kill(process.pid, signal);
    else process.exit(code ?? 1);
  });
}

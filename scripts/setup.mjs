// Prepares a fresh clone for `npm start` and `npm test`; does nothing when it is prepared already.
// Plain JavaScript without dependencies: it runs before anything is installed, on Node.js 20.19 or newer.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const say = (text) => process.stderr.write(`setup: ${text}\n`);

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  say(`Node.js 20.19 or newer is needed to install; this is ${process.version}.`);
  process.exit(2);
}

installDependencies();
buildPage();

function installDependencies() {
  const lock = join(root, 'package-lock.json');
  const stamp = join(root, 'node_modules/.setup-stamp');
  const wanted = digest([lock]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('installing dependencies from the lock file (npm ci), Node.js 24 among them …');
  // Install scripts stay off: nothing that Davy needs runs one. Development tools are needed by npm test and the page.
  run('npm', [
    'ci',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--include=dev',
    '--include=optional',
  ]);
  writeFileSync(stamp, wanted);
  say('dependencies are installed.');
}

function buildPage() {
  if (!existsSync(join(root, 'web/index.html'))) return;
  const stamp = join(root, 'web/dist/.setup-stamp');
  // The page shows releases in the words of the command line.
  const shared = ['src/release/explain.ts', 'src/lib/units.ts', 'package-lock.json'].map((path) => join(root, path));
  const wanted = digest([...filesBelow(join(root, 'web')), ...shared]);
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say('building the web page …');
  run(join(root, 'node_modules/.bin/vite'), ['build', '--logLevel', 'error', join(root, 'web')]);
  writeFileSync(stamp, wanted);
}

function run(command, args) {
  const path = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`;
  // npm's own output goes to stderr: `npm start -- --once -o json` promises one JSON document on stdout.
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, PATH: path },
  });
  if (status === 0) return;
  say(
    `${command} failed${error ? `: ${error.message}` : ` with exit code ${status}`}. Fix the cause above and run the command again.`,
  );
  process.exit(1);
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((path) => !/[\\/](dist|node_modules)[\\/]/.test(path) && statSync(path).isFile())
    .sort();
}

function digest(paths) {
  const hash = createHash('sha256');
  for (const path of paths) hash.update(path.slice(root.length)).update('\0').update(readFileSync(path)).update('\0');
  return hash.digest('hex');
}

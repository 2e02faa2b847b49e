// `npm test`: every check of the repository, then every test. The same run is CI (.ci/run).
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (name) => join(root, 'node_modules/.bin', name);
const checks = [
  ['lock file', 'node', 'scripts/complete-lock.mjs'],
  ['types', 'tsc', '--noEmit'],
  ...(existsSync(join(root, 'web/tsconfig.json')) ? [['types of the page', 'tsc', '--noEmit', '-p', 'web']] : []),
  ['lint', 'biome', 'check', '--error-on-warnings', '.'],
  ['dead code', 'knip'],
  ['rules of the repository', 'node', 'scripts/check-rules.ts'],
  ['catalogue of errors', 'node', 'scripts/check-errors.ts'],
];
const filters = process.argv.slice(2);
const failed =
  filters.length > 0
    ? []
    : checks.filter(([name, command, ...args]) => !run(name, command, args)).map(([name]) => name);
const counts = { passed: 0, failed: 0, skipped: 0 };
if (filters.length > 0) runTests('tests', filters);
else {
  runTests('unit, contract and simulation tests', ['--exclude', 'test/e2e/**']);
  // One file at a time: each of them runs a whole system, and two systems on two cores disturb each other's traffic.
  runTests('end-to-end tests', ['--no-file-parallelism', 'test/e2e/']);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.join(', ')}`);
console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exit(failed.length === 0 ? 0 : 1);

function runTests(name, args) {
  const report = join(mkdtempSync(join(tmpdir(), 'davy-test-')), 'vitest.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  if (!run(name, 'vitest', ['run', ...reporters, ...args])) failed.push(name);
  if (!existsSync(report)) return;
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(report, 'utf8'));
  counts.passed += numPassedTests;
  counts.failed += numFailedTests;
  counts.skipped += numPendingTests;
  rmSync(report, { force: true });
}

function run(name, command, args) {
  const startedAt = Date.now();
  const path = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`;
  const { status } = spawnSync(bin(command), args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: path },
  });
  console.log(`${status === 0 ? 'ok' : 'FAILED'}: ${name} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)`);
  return status === 0;
}

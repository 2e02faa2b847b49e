import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './gateway/machine.ts';

// `npm run bench:cli`: what a command costs before it does anything, and how `davy check` grows with what is wrong.
// The peer is Node.js with an empty program, in turns in the same run; the limit of the check is linear growth.
const ROUNDS = 15;
const CHECK_ROUNDS = 5;
const PROBLEMS = [10_000, 40_000] as const;
const root = fileURLToPath(new URL('..', import.meta.url));
const davy = join(root, 'bin/davy.mjs');
// Commands that end by themselves without a server: nothing answers on the port, the spec is only read.
const COMMANDS: [string, string[], number][] = [
  ['davy status (nothing answers)', ['status', '--port', '1'], 6],
  ['davy release (nothing answers)', ['release', 'shop', 'v2', '--reason', 'x', '--port', '1'], 6],
  ['davy check', ['check', join(root, 'examples/shop/davy.yaml')], 0],
  ['davy --help', ['--help'], 0],
];

const empty = mkdtempSync(join(tmpdir(), 'davy-bench-'));
const env = { ...process.env, NODE_COMPILE_CACHE: undefined };

function run(argv: string[], wanted: number): { ms: number; stdout: Buffer } {
  const begin = performance.now();
  const { status, stdout } = spawnSync(process.execPath, argv, { cwd: empty, env });
  if (status !== wanted) throw new Error(`${argv.join(' ')} ended with ${status} instead of ${wanted}`);
  return { ms: performance.now() - begin, stdout };
}

const tookMs = (argv: string[], wanted: number): number => run(argv, wanted).ms;

/** The demo's spec with so many fields that no spec has. */
function specWithProblems(count: number): string {
  const spec = readFileSync(join(root, 'examples/shop/davy.yaml'), 'utf8');
  const file = join(empty, `problems-${count}.yaml`);
  writeFileSync(file, spec + Array.from({ length: count }, (_, i) => `field${i}: 1\n`).join(''));
  return file;
}

function checkGrowth(): string {
  const sound = join(root, 'examples/shop/davy.yaml');
  const files = PROBLEMS.map(specWithProblems);
  const soundMs: number[] = [];
  const ms = files.map((): number[] => []);
  let octets = 0;
  for (let round = 0; round < CHECK_ROUNDS; round++) {
    soundMs.push(tookMs([davy, 'check', sound], 0));
    files.forEach((file, i) => {
      const one = run([davy, 'check', file], 2);
      ms[i]!.push(one.ms);
      octets = one.stdout.length;
    });
  }
  const [few = 0, many = 0] = ms.map((all) => median(all) - median(soundMs));
  const [small, large] = PROBLEMS;
  return (
    `davy check, ${small} and ${large} problems: ${few.toFixed(0)} and ${many.toFixed(0)} ms more than without, ` +
    `${(many / few).toFixed(1)} times for ${large / small} times as many; ${(octets / 1000).toFixed(0)} kB of output`
  );
}

// The first start compiles and keeps what it compiled.
for (const [, argv, wanted] of COMMANDS) tookMs([davy, ...argv], wanted);
const bare: number[] = [];
const took = COMMANDS.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++) {
  bare.push(tookMs(['-e', '0'], 0));
  COMMANDS.forEach(([, argv, wanted], i) => {
    took[i]!.push(tookMs([davy, ...argv], wanted));
  });
}
const growth = checkGrowth();
rmSync(empty, { recursive: true });

const bareMs = median(bare);
console.log(`limit: an empty program in Node.js ${process.version}: ${bareMs.toFixed(0)} ms (median of ${ROUNDS})`);
COMMANDS.forEach(([name], i) => {
  const ms = median(took[i]!);
  console.log(`${name}: ${ms.toFixed(0)} ms, ${(ms / bareMs).toFixed(1)} times that`);
});
console.log(growth);

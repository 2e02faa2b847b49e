import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from './gateway/machine.ts';

// `npm run bench:cli`: what a command costs before it does anything. The peer is Node.js with an empty program, in turns in the same run.
const ROUNDS = 15;
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

function tookMs(argv: string[], wanted: number): number {
  const begin = performance.now();
  const { status } = spawnSync(process.execPath, argv, { cwd: empty, env });
  if (status !== wanted) throw new Error(`${argv.join(' ')} ended with ${status} instead of ${wanted}`);
  return performance.now() - begin;
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
rmSync(empty, { recursive: true });

const bareMs = median(bare);
console.log(`limit: an empty program in Node.js ${process.version}: ${bareMs.toFixed(0)} ms (median of ${ROUNDS})`);
COMMANDS.forEach(([name], i) => {
  const ms = median(took[i]!);
  console.log(`${name}: ${ms.toFixed(0)} ms, ${(ms / bareMs).toFixed(1)} times that`);
});

/** Latency rows of the gateway bench: the gateway and HAProxy in turn under open-loop load, in pairs of short rounds. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { join } from 'node:path';
import { ports } from './config.ts';
import { median, undisturbed } from './machine.ts';
import type { Run, RunResult } from './open-loop.ts';

const SECONDS = 0.5;
/** A pair in which the generator itself was later than this says nothing about the proxies: its core was taken away. */
const MAX_LATE_US = 200;

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** The generator's process, which is the backend too; it takes the backend's port, so nothing else may. */
export class Generator {
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(): Promise<Generator> {
    const [program = '', ...args] = undisturbed([
      'taskset',
      '-c',
      '0',
      process.execPath,
      join(import.meta.dirname, 'open-loop.ts'),
      String(ports.backend),
    ]);
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new Generator(child);
  }

  async run(run: Run): Promise<RunResult> {
    this.child.send(run);
    const [result] = (await once(this.child, 'message')) as [RunResult];
    if (result.answered < result.sent) throw new Error(`${result.sent - result.answered} requests were not answered`);
    return result;
  }

  stop(): void {
    this.child.kill('SIGTERM');
  }
}

const quiet = (results: RunResult[]): boolean => results.every(({ lateP99Us }) => lateP99Us <= MAX_LATE_US);

/** Latency from the scheduled time at 10,000 requests per second. */
export async function runOpenLoop(generator: Generator, rounds: number): Promise<void> {
  const pairs: { gateway: RunResult; haproxy: RunResult }[] = [];
  for (let round = 0; round < rounds; round++) {
    const results: Partial<Record<'gateway' | 'haproxy', RunResult>> = {};
    const order = round % 2 === 0 ? (['gateway', 'haproxy'] as const) : (['haproxy', 'gateway'] as const);
    for (const name of order)
      results[name] = await generator.run({ port: ports[name], rate: 10_000, seconds: SECONDS });
    pairs.push(results as { gateway: RunResult; haproxy: RunResult });
  }
  const counted = pairs.filter(({ gateway, haproxy }) => quiet([gateway, haproxy]));
  say(`\nopen loop, 10,000 requests per second, from the scheduled time: ${counted.length} of ${rounds} pairs of`);
  say(`${SECONDS} s count (in the others the generator's own core was taken away: late by over ${MAX_LATE_US} µs)`);
  if (counted.length < 3) {
    say('too few to say anything: the machine is not quiet');
    return;
  }
  const of = (name: 'gateway' | 'haproxy', key: 'p50Us' | 'p99Us') => median(counted.map((pair) => pair[name][key]));
  for (const name of ['gateway', 'haproxy'] as const)
    say(`${name.padEnd(10)} p50 ${of(name, 'p50Us').toFixed(0)} µs   p99 ${of(name, 'p99Us').toFixed(0)} µs`);
  const slower = median(counted.map(({ gateway, haproxy }) => gateway.p50Us - haproxy.p50Us));
  const p99 = median(counted.map(({ gateway, haproxy }) => gateway.p99Us / haproxy.p99Us));
  say(
    `p50 ${slower >= 0 ? '+' : ''}${slower.toFixed(0)} µs (asked: within 10) ${slower <= 10 ? 'met' : 'MISSED'}; p99 × ${p99.toFixed(2)} (asked: at most 1.2) ${p99 <= 1.2 ? 'met' : 'MISSED'}`,
  );
}

/** p99 of others while 2,000 sockets hold back their request heads (slowloris). */
export async function runSlowHeads(generator: Generator, rounds: number): Promise<void> {
  const ask = (): Promise<RunResult> => generator.run({ port: ports.gateway, rate: 2000, seconds: SECONDS });
  const ratios: number[] = [];
  const before: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const alone = await ask();
    const sockets = Array.from({ length: 2000 }, () => net.connect(ports.gateway, '127.0.0.1').on('error', () => {}));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    for (const socket of sockets) socket.write('GET / HTTP/1.1\r\nHost: slow');
    const beside = await ask();
    const gone = sockets.map((socket) => once(socket, 'close'));
    for (const socket of sockets) socket.destroy();
    await Promise.all(gone);
    if (!quiet([alone, beside])) continue;
    before.push(alone.p99Us);
    ratios.push(beside.p99Us / alone.p99Us);
  }
  say(`\n2,000 sockets with unfinished heads: ${ratios.length} of ${rounds} pairs count`);
  if (ratios.length < 3) {
    say('too few to say anything: the machine is not quiet');
    return;
  }
  const ratio = median(ratios);
  say(
    `p99 of others ${median(before).toFixed(0)} µs, × ${ratio.toFixed(2)} (asked: under 2) ${ratio < 2 ? 'met' : 'MISSED'}`,
  );
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { sleep } from '../lib/clock.ts';
import { findEndpoint } from '../lib/endpoint.ts';
import { DavyError } from '../lib/error.ts';
import { noSuch } from '../lib/nearest.ts';
import { paragraphs, term } from '../lib/outside-text/terminal.ts';
import { loadSpec } from '../spec/load.ts';
import type { ServiceSpec, Spec } from '../spec/model.ts';
import type { VerifyApi, VerifyContext } from '../verify/scenario.ts';
import { type Verification, verificationMarkdown, verifySystem } from '../verify/verify.ts';
import { connect, connectionOptions } from './api-client.ts';
import { archive } from './archive.ts';
import { cliErrors } from './errors.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { serviceOf } from './service-choice.ts';

interface VerifyOptions {
  port: number;
  url?: string;
  service?: string;
  good?: string;
  bad?: string;
  entry?: string;
  rps: string;
  report?: string;
  output: string;
}

/** A verification that is not PASS. */
const exitFailed = 3;
const upWithinMs = 60_000;

/** `verify FILE`: eight scenarios against the running system, or against one that is started for it. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('verify')
    .description(
      'eight scenarios against the system: split, header, bad canary, silence, limiter, retries, chaos, restart',
    )
    .argument('<file>')
    .option('--service <name>', 'the service whose versions are released (default: the first with several)')
    .option('--good <version>', 'a version that works (default: the first that is not stable)')
    .option('--bad <version>', 'a version that fails (default: the last other one)')
    .option('--entry <service>', 'where the load comes in (default: the first service)')
    .option('--rps <rate>', 'requests per second', '200')
    .option('--report <file>', 'also write the Markdown report there');
  outputOption(connectionOptions(command)).action((file: string, options: VerifyOptions) => run(file, options, io));
}

async function run(file: string, options: VerifyOptions, io: CliIo): Promise<void> {
  const path = resolve(io.cwd, file);
  const { spec } = await loadSpec(path);
  const subject = subjectOf(spec, options);
  const system = (await isRunning(spec, options, io)) ? null : await bringUp(path, options, io);
  try {
    const verification = await verifySystem(contextOf(subject, options, io));
    const markdown = String(verificationMarkdown(verification));
    const stored = await store(verification, markdown, options, io);
    if (options.report !== undefined) await writeFile(resolve(io.cwd, options.report), markdown);
    if (options.output === 'json') printJson(io, { verification, stored });
    else
      io.out(
        term`${paragraphs(markdown)}\nkept in the ledger: records ${stored.map((one) => one.seq).join(' and ')}\n`,
      );
    if (verification.verdict !== 'PASS') io.exitCode = exitFailed;
  } finally {
    await system?.end();
  }
}

/** True when the Davy on the port runs this system; false when none answers. Another system there is an error. */
async function isRunning(spec: Spec, options: VerifyOptions, io: CliIo): Promise<boolean> {
  try {
    const { system } = await connect(options, io).get<{ system: string }>('/api/v1/fleet');
    if (system === spec.system) return true;
    throw new DavyError(
      cliErrors.usage,
      `The Davy on port ${options.port} runs ${system}, not ${spec.system}; use --port.`,
    );
  } catch (error) {
    if (error instanceof DavyError && error.kind === cliErrors.unreachable) return false;
    throw error;
  }
}

async function bringUp(file: string, options: VerifyOptions, io: CliIo): Promise<{ end(): Promise<void> }> {
  io.say(term`nothing runs on port ${options.port}; starting ${file} for the verification\n`);
  const data = await mkdtemp(join(tmpdir(), 'davy-verify-'));
  const main = fileURLToPath(new URL('../../bin/davy.mjs', import.meta.url));
  const args = [main, 'up', file, '--data', data, '--port', String(options.port)];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...io.env },
  });
  const gone = once(child, 'exit');
  const deadlineMs = io.clock.monoMs() + upWithinMs;
  while (!(await isReady(options, io))) {
    if (child.exitCode !== null || io.clock.monoMs() > deadlineMs) {
      child.kill('SIGTERM');
      throw new DavyError(cliErrors.unreachable, `${file} did not come up; its output stands above.`);
    }
    await sleep(io.clock, 200);
  }
  return {
    async end() {
      child.kill('SIGTERM');
      await gone;
      await rm(data, { recursive: true, force: true });
    },
  };
}

function isReady(options: VerifyOptions, io: CliIo): Promise<boolean> {
  const answer = connect(options, io).get<{ ready: boolean }>('/readyz');
  return answer.then(
    ({ ready }) => ready,
    () => false,
  );
}

/** Looked up for every call: a controller that was started anew has another token. */
function freshApi(options: VerifyOptions, io: CliIo): VerifyApi {
  return {
    get: (path) => connect(options, io).get(path),
    post: (path, body) => connect(options, io).post(path, body),
  };
}

type Subject = Pick<VerifyContext, 'spec' | 'service' | 'good' | 'bad' | 'ratePerSecond' | 'entryPort'>;

/** Which versions are released and under which load. Throws `cli/usage` before anything is started for it. */
function subjectOf(spec: Spec, options: VerifyOptions): Subject {
  const several = Object.values(spec.services).find((one) => Object.keys(one.versions).length > 1);
  const service = serviceOf(spec, options.service ?? several?.name ?? Object.keys(spec.services)[0]);
  const others = Object.keys(service.versions).filter((version) => version !== service.stable);
  const good = options.good ?? others[0] ?? null;
  const last = others.findLast((version) => version !== good) ?? null;
  for (const version of [options.good, options.bad]) {
    if (version === undefined || others.includes(version)) continue;
    throw new DavyError(cliErrors.usage, noSuch('version', version, others, `of ${service.name} to release`));
  }
  const ratePerSecond = Number(options.rps);
  if (!(ratePerSecond > 0 && ratePerSecond <= 10_000))
    throw new DavyError(cliErrors.usage, `"${options.rps}" is not a rate (1 to 10000).`);
  const entryPort = entryOf(spec, options).listenPort;
  return { spec, service, good, bad: options.bad ?? last, ratePerSecond, entryPort };
}

function contextOf(subject: Subject, options: VerifyOptions, io: CliIo): VerifyContext {
  return {
    ...subject,
    api: freshApi(options, io),
    clock: io.clock,
    killController: killerOf(options, io),
    say: (line) => io.say(term`${line}\n`),
  };
}

function entryOf(spec: Spec, options: VerifyOptions): ServiceSpec {
  return serviceOf(spec, options.entry ?? Object.keys(spec.services)[0]);
}

/** The pid is read when it is needed: an earlier scenario may have outlived a controller. */
function killerOf(options: VerifyOptions, io: CliIo): (() => Promise<void>) | null {
  const port = Number(new URL(connect(options, io).url).port || 80);
  const known = (): number | undefined => findEndpoint(port, io.env)?.pid;
  if (known() === undefined) return null;
  return async () => {
    const pid = known();
    if (pid === undefined) throw new Error('the controller has left no pid');
    process.kill(pid, 'SIGKILL');
  };
}

async function store(verification: Verification, markdown: string, options: VerifyOptions, io: CliIo) {
  const json = `${JSON.stringify({ schemaVersion: 1, ...verification }, null, 2)}\n`;
  const files = [
    { name: 'verification.json', type: 'application/json', content: json },
    { name: 'verification.md', type: 'text/markdown', content: markdown },
  ];
  const stored: { seq: number; sha256: string }[] = [];
  for (const one of files) {
    const desc = `Verification of ${verification.system}: ${verification.verdict}`;
    stored.push(await archive(io, options, { ...one, desc, kind: 'verification' }));
  }
  return stored;
}

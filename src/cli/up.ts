import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { sleep } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import { loadSpec } from '../spec/load.ts';
import type { Spec } from '../spec/model.ts';
import { renderFindings } from '../spec/render-finding.ts';
import { DEFAULT_PORT, gatewayCount, portNumber } from './api-client.ts';
import { cliErrors } from './errors.ts';
import { type CliIo, EXIT_INTERRUPTED } from './io.ts';

const MAIN = fileURLToPath(new URL('../../bin/davy.mjs', import.meta.url));
const FIRST_BACK_OFF_MS = 200;
const MAX_BACK_OFF_MS = 10_000;
/** This many deaths in a row before the API was ready are no accident any more. */
const MAX_FAILED_STARTS = 5;

interface UpOptions {
  data?: string;
  host: string;
  port: number;
  gateways: number;
}

/** `up FILE`: runs a spec on this machine and keeps its controller alive. */
export function register(program: Command, io: CliIo): void {
  program
    .command('up')
    .description('run a spec on this machine: versions, gateway, controller, API')
    .argument('<file>', 'the davy.yaml')
    .option('--data <dir>', 'where ledger, logs and run files live (default: .davy beside the spec)')
    .option('--port <port>', 'port of the API and the page', portNumber, DEFAULT_PORT)
    .option('--host <host>', 'address to listen on; beyond loopback DAVY_TOKEN is needed', '127.0.0.1')
    .option('--gateways <n>', 'gateway processes that share the ports, 1 to 64', gatewayCount, 1)
    .action(async (file: string, options: UpOptions) => {
      const path = resolve(io.cwd, file);
      const { spec, warnings } = await loadSpec(path);
      if (warnings.length > 0) io.say(`${renderFindings(warnings, null).trimEnd()}\n`);
      const data = options.data ? resolve(io.cwd, options.data) : join(dirname(path), '.davy');
      mkdirSync(data, { recursive: true, mode: 0o700 });
      await supervise(
        spec,
        [
          'controller',
          path,
          ...['--data', data, '--host', options.host, '--port', `${options.port}`],
          ...['--gateways', `${options.gateways}`],
        ],
        io,
      );
    });
}

interface Ended {
  /** Null when it was killed. */
  code: number | null;
  wasReady: boolean;
  /** It said that it cannot start like this: trying again is pointless. */
  refused: boolean;
}

/** Starts the controller again when it dies; what it ended with by itself is the answer. */
async function supervise(spec: Spec, argv: string[], io: CliIo): Promise<void> {
  let failedStarts = 0;
  let backOffMs = FIRST_BACK_OFF_MS;
  while (!io.signal.aborted) {
    const { code, wasReady, refused } = await runController(spec, argv, io);
    if (io.signal.aborted) break;
    if (code !== null && (code !== 1 || refused)) {
      io.exitCode = code;
      return;
    }
    failedStarts = wasReady ? 0 : failedStarts + 1;
    if (failedStarts >= MAX_FAILED_STARTS) {
      throw new DavyError(
        cliErrors['controller-crashed'],
        `The controller died ${failedStarts} times before it was ready.`,
      );
    }
    backOffMs = wasReady ? FIRST_BACK_OFF_MS : Math.min(MAX_BACK_OFF_MS, backOffMs * 2);
    io.say(
      `the controller died (${code === null ? 'killed' : `exit ${code}`}); traffic goes on, starting it again …\n`,
    );
    await sleep(io.clock, backOffMs, io.signal).catch(() => {});
  }
  io.exitCode = io.signal.reason === 'SIGTERM' ? 0 : EXIT_INTERRUPTED;
}

function runController(spec: Spec, argv: string[], io: CliIo): Promise<Ended> {
  // Its own process group: Ctrl-C in the terminal reaches this process alone, which then asks for an orderly stop.
  const child = spawn(process.execPath, [MAIN, ...argv], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  let wasReady = false;
  let refused = false;
  child.on('message', (message: { ready?: { url: string; token: string }; refused?: boolean }) => {
    refused = message.refused === true;
    if (!message.ready) return;
    wasReady = true;
    io.say(welcome(spec, message.ready));
  });
  const stop = (): void => askToStop(child);
  io.signal.addEventListener('abort', stop, { once: true });
  return new Promise((done) => {
    child.on('exit', (code) => {
      io.signal.removeEventListener('abort', stop);
      done({ code, wasReady, refused });
    });
  });
}

function askToStop(child: ChildProcess): void {
  if (child.connected) child.send({ stop: true });
  else child.kill('SIGTERM');
}

function welcome(spec: Spec, { url, token }: { url: string; token: string }): string {
  const services = Object.values(spec.services).map(
    (service) => `  ${service.name}: http://127.0.0.1:${service.listenPort}`,
  );
  return [
    `davy: ${spec.system} is up at ${url}`,
    `  page ${url}/#token=${token}`,
    `  token ${token}`,
    ...services,
    '  next: davy status -w   ·   davy release SERVICE VERSION --reason "…"   ·   Ctrl-C stops everything',
    '',
  ].join('\n');
}

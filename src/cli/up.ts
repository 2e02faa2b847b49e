import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { anythingRuns, endLeftovers } from '../leftovers.ts';
import { sleep } from '../lib/clock.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { boundLogs } from '../lib/log-file.ts';
import { joined, paragraphs, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { told } from '../spec/finding.ts';
import { loadSpec } from '../spec/load.ts';
import { renderFindings } from '../spec/render-finding.ts';
import { DEFAULT_PORT, gatewayCount, portNumber } from './api-client.ts';
import type { ControllerMessage } from './controller-messages.ts';
import { cliErrors } from './errors.ts';
import { type CliIo, EXIT_INTERRUPTED } from './io.ts';
import { afterEnd, type Ended, nothingSupervised, type Supervised } from './supervision.ts';

const MAIN = fileURLToPath(new URL('../../bin/davy.mjs', import.meta.url));

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
      const data = options.data ? resolve(io.cwd, options.data) : join(dirname(path), '.davy');
      try {
        const { warnings } = await loadSpec(path);
        if (warnings.length > 0) io.say(term`${renderFindings(told(warnings), null)}\n`);
      } catch (error) {
        // A broken file never ends what runs: the controller says what is wrong with it until it is mended.
        if (!anythingRuns(data)) throw error;
      }
      mkdirSync(data, { recursive: true, mode: 0o700 });
      const flags = ['--data', data, '--host', options.host, '--port', `${options.port}`];
      await supervise(['controller', path, ...flags, '--gateways', `${options.gateways}`], data, io);
    });
}

/** Starts the controller again whenever it ends by itself, until nothing needs one any more. */
async function supervise(argv: string[], dataDir: string, io: CliIo): Promise<void> {
  let state = nothingSupervised;
  while (!io.signal.aborted) {
    const ended = await runController(argv, state, io);
    if (io.signal.aborted) {
      state = { ...state, everReady: state.everReady || ended.wasReady };
      break;
    }
    const next = afterEnd(state, ended, anythingRuns(dataDir));
    if (next.kind === 'give-up') {
      const sentence = `The controller died ${next.failedStarts} times before it was ready.`;
      throw new DavyError(cliErrors['controller-crashed'], sentence);
    }
    if (next.says !== null) io.say(paragraphs(next.says));
    if (next.kind === 'end') {
      io.exitCode = next.code;
      return;
    }
    state = next.state;
    boundLogs(join(dataDir, 'log'));
    await sleep(io.clock, next.waitMs, io.signal).catch(() => {});
  }
  await endWhatRuns(dataDir, state, io);
  io.exitCode = io.signal.reason === 'SIGTERM' ? 0 : EXIT_INTERRUPTED;
}

/** A controller that ended in good order has ended everything; without one that is done here, by whoever started it. */
async function endWhatRuns(dataDir: string, { everReady }: Supervised, io: CliIo): Promise<void> {
  if (!anythingRuns(dataDir)) return;
  if (!everReady) {
    io.say(term`stopped; the gateway and the instances that ran before go on, and the next \`davy up\` adopts them\n`);
    return;
  }
  io.say(term`stopping: draining the gateway and the instances …\n`);
  await endLeftovers(dataDir, io.clock).catch((error: unknown) =>
    io.say(term`what runs is left to another davy: ${messageOf(error)}\n`),
  );
}

function runController(argv: string[], { told }: Supervised, io: CliIo): Promise<Ended> {
  // Its own process group: Ctrl-C in the terminal reaches this process alone, which then asks for an orderly stop.
  const child = spawn(process.execPath, [MAIN, ...argv], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  });
  let wasReady = false;
  let failure: Ended['failure'] = null;
  child.on('message', (message: ControllerMessage) => {
    if (message.kind === 'failed') failure = message;
    // A start that is tried again and again would tell the same again and again.
    else if (message.kind === 'said' && (told === null || wasReady)) io.say(term`${message.line}\n`);
    else if (message.kind === 'ready') {
      wasReady = true;
      io.say(welcome(message));
    }
  });
  const stop = (): void => askToStop(child);
  io.signal.addEventListener('abort', stop, { once: true });
  return new Promise((done) => {
    child.on('exit', (code) => {
      io.signal.removeEventListener('abort', stop);
      done({ code, wasReady, failure });
    });
  });
}

function askToStop(child: ChildProcess): void {
  if (child.connected) child.send({ stop: true });
  else child.kill('SIGTERM');
}

function welcome({ url, token, system, services }: Extract<ControllerMessage, { kind: 'ready' }>): TerminalText {
  return joined([
    `davy: ${system} is up at ${url}`,
    term`  page ${url}/#token=${token}`,
    term`  token ${token}`,
    ...services.map(({ name, listenPort }) => term`  ${name}: http://127.0.0.1:${listenPort}`),
    term`  next: davy status -w   ·   davy release SERVICE VERSION --reason "…"   ·   Ctrl-C stops everything`,
    '',
  ]);
}

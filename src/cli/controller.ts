import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { paragraphs, term } from '../lib/outside-text/terminal.ts';
import { loadSpec } from '../spec/load.ts';
import { gatewayCount, portNumber } from './api-client.ts';
import { keepCrash } from './controller-crash.ts';
import type { ControllerMessage } from './controller-messages.ts';
import { renderError } from './fail.ts';
import type { CliIo } from './io.ts';

const LAST_APPLY_MS = 1000;

interface ControllerOptions {
  data: string;
  host: string;
  port: number;
  gateways: number;
}

/**
 * `controller`: the process that `up` supervises; not for people. What it has to say goes to its parent, which says each
 * thing once. Its parent asks it to stop with a message, and when the parent dies it lets go of everything, so that the
 * next `up` finds gateway and instances running and adopts them.
 */
export function register(program: Command, io: CliIo): void {
  program
    .command('controller', { hidden: true })
    .argument('<file>')
    .requiredOption('--data <dir>')
    .requiredOption('--host <host>')
    .requiredOption('--port <port>', 'port', portNumber)
    .option('--gateways <n>', 'gateway processes', gatewayCount, 1)
    .action(async (file: string, options: ControllerOptions) => {
      process.on('uncaughtException', (error) => {
        const text = keepCrash(error, join(options.data, 'log'), io.clock);
        void tell({ kind: 'failed', known: false, text }, io).then(() => process.exit(1));
      });
      try {
        await runController(file, options, io);
      } catch (error) {
        io.exitCode = error instanceof DavyError ? error.kind.exit : 1;
        await tell(failureOf(error), io);
      } finally {
        // The channel to the supervisor would keep the process alive.
        if (process.connected) process.disconnect();
      }
    });
}

async function runController(file: string, options: ControllerOptions, io: CliIo): Promise<void> {
  const stop = stopRequest();
  const { spec } = await loadSpec(resolve(io.cwd, file));
  const say = (line: string): void => void tell({ kind: 'said', line }, io);
  const app = await openApp({
    spec,
    dataDir: options.data,
    host: options.host,
    port: options.port,
    gateways: options.gateways,
    env: io.env,
    say,
    onFatal: (error) => leaveSoon(error, io),
  });
  const services = Object.values(spec.services).map(({ name, listenPort }) => ({ name, listenPort }));
  await tell({ kind: 'ready', url: app.url, token: app.token, system: spec.system, services }, io);
  const how = await stop;
  if (how === 'drain') say('stopping: draining the gateway and the instances …');
  await app.stop({ leaveRunning: how === 'let-go' }).catch((error) => say(`while stopping: ${messageOf(error)}`));
}

/** To the supervisor, or to standard error when there is none. */
function tell(message: ControllerMessage, io: CliIo): Promise<void> {
  return new Promise((done) => {
    if (process.connected && process.send) process.send(message, () => done());
    else {
      if (message.kind === 'said') io.say(term`${message.line}\n`);
      if (message.kind === 'failed') io.say(paragraphs(message.text));
      done();
    }
  });
}

function failureOf(error: unknown): Extract<ControllerMessage, { kind: 'failed' }> {
  const known = error instanceof DavyError;
  // Plain: what comes over the channel is shown as text from outside.
  const text = String(known ? renderError(error, false) : term`error: ${messageOf(error)}\n`);
  return { kind: 'failed', known, text };
}

/** A rollback that was just decided still reaches the data plane; then the process ends and its supervisor starts anew. */
function leaveSoon(error: unknown, io: CliIo): void {
  void tell({ ...failureOf(error), known: false }, io);
  setTimeout(() => process.exit(1), LAST_APPLY_MS);
}

function stopRequest(): Promise<'drain' | 'let-go'> {
  return new Promise((resolve) => {
    process.once('message', () => resolve('drain'));
    process.once('disconnect', () => resolve('let-go'));
    process.once('SIGTERM', () => resolve('drain'));
  });
}

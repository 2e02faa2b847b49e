import { resolve } from 'node:path';
import type { Command } from 'commander';
import { openApp } from '../app.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { loadSpec } from '../spec/load.ts';
import { gatewayCount, portNumber } from './api-client.ts';
import type { CliIo } from './io.ts';

const LAST_APPLY_MS = 1000;

interface ControllerOptions {
  data: string;
  host: string;
  port: number;
  gateways: number;
}

/**
 * `controller`: the process that `up` supervises; not for people. Its parent asks it to stop with a message, and when
 * the parent dies it lets go of everything, so that the next `up` finds gateway and instances running and adopts them.
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
      try {
        await runController(file, options, io);
      } catch (error) {
        // A known refusal stays one however often the supervisor tries.
        if (error instanceof DavyError) process.send?.({ refused: true });
        throw error;
      } finally {
        // The channel to the supervisor would keep the process alive.
        process.disconnect?.();
      }
    });
}

async function runController(file: string, options: ControllerOptions, io: CliIo): Promise<void> {
  const stop = stopRequest();
  const { spec } = await loadSpec(resolve(io.cwd, file));
  const app = await openApp({
    spec,
    dataDir: options.data,
    host: options.host,
    port: options.port,
    gateways: options.gateways,
    env: io.env,
    say: (line) => io.say(`${line}\n`),
    onFatal: (error) => leaveSoon(error, io),
  });
  process.send?.({ ready: { url: app.url, token: app.token } });
  const how = await stop;
  if (how === 'drain') io.say('stopping: draining the gateway and the instances …\n');
  await app.stop({ leaveRunning: how === 'let-go' }).catch((error) => io.say(`while stopping: ${messageOf(error)}\n`));
}

/** A rollback that was just decided still reaches the data plane; then the process ends and its supervisor starts anew. */
function leaveSoon(error: unknown, io: CliIo): void {
  io.say(`${messageOf(error)}\n`);
  setTimeout(() => process.exit(1), LAST_APPLY_MS);
}

function stopRequest(): Promise<'drain' | 'let-go'> {
  return new Promise((resolve) => {
    process.once('message', () => resolve('drain'));
    process.once('disconnect', () => resolve('let-go'));
    process.once('SIGTERM', () => resolve('drain'));
  });
}

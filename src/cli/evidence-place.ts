import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { findEndpoint } from '../lib/endpoint.ts';
import { DEFAULT_PORT, portNumber } from './api-client.ts';
import type { CliIo } from './io.ts';

/** Where a command about evidence finds its ledger. */
export interface Place {
  data?: string;
  port: number;
}

export interface Printed extends Place {
  output: string;
}

export function placeOptions(command: Command): Command {
  return command
    .option('--data <dir>', 'the data folder of `davy up` (default: the running one, else .davy here)')
    .option('--port <port>', 'port of the running Davy', portNumber, DEFAULT_PORT);
}

export function ledgerDir(io: CliIo, options: Place): string {
  if (options.data) return join(resolve(io.cwd, options.data), 'ledger');
  const here = join(io.cwd, '.davy', 'ledger');
  const running = findEndpoint(options.port, io.env);
  return running && !existsSync(here) ? join(running.dataDir, 'ledger') : here;
}

import type { Command } from 'commander';
import { term } from '../lib/outside-text/terminal.ts';
import { connect, connectionOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { reasonOption } from './reason-option.ts';

interface ContinueOptions {
  port: number;
  url?: string;
  acceptLoss?: boolean;
  reason: string;
  output: string;
}

/** `continue --accept-loss`: a person decides what counts where records of the ledger are lost. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('continue')
    .description('go on where the world was ahead of the ledger; nothing is raised by it')
    .option('--accept-loss', 'accept that records of the ledger are lost; it is recorded')
    .addOption(reasonOption());
  outputOption(connectionOptions(command)).action(async (options: ContinueOptions) => {
    const body = { reason: options.reason, acceptLoss: options.acceptLoss === true };
    const { ended } = await connect(options, io).post<{ ended: string[] }>('/api/v1/traffic/continue', body);
    if (options.output === 'json') return printJson(io, { ended });
    io.out(term`what is in force counts; releases go on from it\n`);
    for (const id of ended)
      io.out(term`${id} has ended: the world had it lower; \`davy release\` starts it again from 0\n`);
  });
}

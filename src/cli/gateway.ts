import type { Command } from 'commander';
import { term } from '../lib/outside-text/terminal.ts';
import type { GatewayRestart } from '../traffic/gateway-restart.ts';
import { connect, connectionOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { reasonOption } from './reason-option.ts';

interface RestartOptions {
  port: number;
  url?: string;
  reason: string;
  output: string;
}

/** `gateway restart`: a new process in the place of the running one, under traffic. */
export function register(program: Command, io: CliIo): void {
  const gateway = program.command('gateway').description('the built-in data plane');
  const command = gateway
    .command('restart')
    .description('put a new gateway process in the place of the running one; no request is lost')
    .addOption(reasonOption());
  outputOption(connectionOptions(command)).action(async (options: RestartOptions) => {
    const restarted = await connect(options, io).post<GatewayRestart>('/api/v1/gateway/restart', {
      reason: options.reason,
    });
    if (options.output === 'json') printJson(io, { ...restarted });
    else io.out(term`process ${restarted.pid} serves since ${restarted.tookMs} ms after the asking\n`);
  });
}

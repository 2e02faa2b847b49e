import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type VerifyResult, verifyLedger } from '../ledger/verify.ts';
import { findEndpoint } from '../lib/endpoint.ts';
import { DEFAULT_PORT, portNumber } from './api-client.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { printable, styleFor } from './style.ts';

/** Exit code for a ledger that is not what was written. */
const EXIT_TAMPERED = 1;

/** `evidence`: what an auditor asks of the ledger. */
export function register(program: Command, io: CliIo): void {
  const evidence = program.command('evidence').description('the ledger: check it, read it, take it along');
  const verify = evidence
    .command('verify')
    .description('check every record, link, root, seal and signature; needs no server')
    .option('--data <dir>', 'the data folder of `davy up` (default: the running one, else .davy here)')
    .option('--offline <dir>', 'a copied ledger folder')
    .option('--port <port>', 'port of the running Davy', portNumber, DEFAULT_PORT);
  outputOption(verify).action(async (options: { data?: string; offline?: string; port: number; output: string }) => {
    const result = await verifyLedger(ledgerDir(options, io));
    if (options.output === 'json') printJson(io, { ...result });
    else io.out(renderResult(result, io.color));
    io.exitCode = result.ok ? 0 : EXIT_TAMPERED;
  });
}

function ledgerDir(options: { data?: string; offline?: string; port: number }, io: CliIo): string {
  if (options.offline) return resolve(io.cwd, options.offline);
  if (options.data) return join(resolve(io.cwd, options.data), 'ledger');
  const here = join(io.cwd, '.davy', 'ledger');
  const running = findEndpoint(options.port, io.env);
  return running && !existsSync(here) ? join(running.dataDir, 'ledger') : here;
}

function renderResult(result: VerifyResult, color: boolean): string {
  const style = styleFor(color);
  const lines = result.ok
    ? [`${style.good('✓')} ${result.size} records are what was written; root ${result.root}`]
    : [
        `${style.bad('✗')} record ${result.firstBad?.seq} in ${printable(result.firstBad?.file ?? '')}: ${printable(result.firstBad?.why ?? '')}`,
        `  ${result.size} records before it are intact`,
      ];
  for (const warning of result.warnings)
    lines.push(`${style.warn('!')} ${warning.code} at ${warning.seq}: ${printable(warning.says)}`);
  return `${lines.join('\n')}\n`;
}

import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { startWitness } from '../ledger/witness-server.ts';
import { term } from '../lib/outside-text/terminal.ts';
import { portNumber } from './api-client.ts';
import { readGivenFile } from './given-file.ts';
import { parseGivenKey } from './given-key.ts';
import type { CliIo } from './io.ts';

const DEFAULT_WITNESS_PORT = 7090;

interface WitnessCommand {
  data: string;
  name: string;
  log: string[];
  logFile?: string;
  host: string;
  port: number;
}

/** `witness`: a separate small program that cosigns checkpoints and refuses every history but the one it has seen. */
export function register(program: Command, io: CliIo): void {
  program
    .command('witness')
    .description('cosign the checkpoints of ledgers; run it where their owner has no access')
    .requiredOption('--data <dir>', 'where its key and its memory live; never inside a ledger')
    .requiredOption('--name <name>', 'name of its key, for example audit.example.com/davy')
    .addOption(
      new Option('--log <vkey>', 'verifier key of a ledger to serve; may be given several times')
        .argParser(collect)
        .default([], 'none'),
    )
    .option('--log-file <file>', 'a file with one verifier key per line')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on', portNumber, DEFAULT_WITNESS_PORT)
    .action(async (options: WitnessCommand) => {
      const witness = await startWitness({
        dir: resolve(io.cwd, options.data),
        name: options.name,
        logKeys: (await logKeys(io, options)).map(parseGivenKey),
        host: options.host,
        port: options.port,
        clock: io.clock,
        onEvent: ({ origin, status, size }) =>
          io.say(
            term`${new Date(io.clock.nowMs()).toISOString()} ${status} ${origin}${size === null ? '' : term` ${size}`}\n`,
          ),
      });
      io.out(term`${witness.vkey}\n`);
      io.say(term`witnessing on ${witness.url}; put this URL and the key above into the spec under witnesses:\n`);
      await new Promise<void>((done) => {
        if (io.signal.aborted) done();
        io.signal.addEventListener('abort', () => done(), { once: true });
      });
      await witness.close();
    });
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}

async function logKeys(io: CliIo, options: WitnessCommand): Promise<string[]> {
  if (options.logFile === undefined) return options.log;
  const lines = (await readGivenFile(options.logFile, io)).split('\n').map((line) => line.trim());
  return [...options.log, ...lines.filter((line) => line !== '' && !line.startsWith('#'))];
}

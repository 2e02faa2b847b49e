import { Command, CommanderError } from 'commander';
import { DavyError, messageOf } from '../lib/error.ts';
import { VERSION } from '../version.ts';
import { register as actions } from './actions.ts';
import { register as chaos } from './chaos.ts';
import { register as check } from './check.ts';
import { register as controller } from './controller.ts';
import { register as demo } from './demo.ts';
import { cliErrors } from './errors.ts';
import { register as evidence } from './evidence.ts';
import { register as explain } from './explain.ts';
import { renderError } from './fail.ts';
import { register as gateway } from './gateway.ts';
import { type CliIo, EXIT_INTERRUPTED } from './io.ts';
import { register as load } from './load.ts';
import { register as release } from './release.ts';
import { register as replay } from './replay.ts';
import { register as report } from './report.ts';
import { register as schema } from './schema.ts';
import { register as simulate } from './simulate.ts';
import { register as status } from './status.ts';
import { register as up } from './up.ts';
import { register as verify } from './verify.ts';
import { register as witness } from './witness.ts';

const VERBS = [
  check,
  schema,
  simulate,
  replay,
  up,
  demo,
  release,
  status,
  explain,
  actions,
  evidence,
  controller,
  gateway,
  chaos,
  load,
  report,
  verify,
  witness,
];

/** Runs one command line and answers with the exit code of design: 0, 1 … 6, 130. */
export async function runCli(argv: string[], io: CliIo): Promise<number> {
  const program = buildProgram(io);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return io.exitCode;
  } catch (error) {
    return exitCodeOf(error, io);
  }
}

function buildProgram(io: CliIo): Command {
  const program = new Command('davy')
    .description('Release safety from one file: route, release step by step, judge, roll back, prove.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text), writeErr: (text) => io.say(text) })
    .showSuggestionAfterError()
    .addHelpText('after', HELP);
  for (const register of VERBS) register(program, io);
  return program;
}

const HELP = `
Exit codes: 0 ok · 1 unexpected · 2 usage or spec invalid · 3 rolled back or failed verdict ·
4 timed out waiting · 5 not allowed · 6 unreachable · 130 interrupted`;

function exitCodeOf(error: unknown, io: CliIo): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : cliErrors.usage.exit;
  if (error instanceof DavyError) {
    io.say(renderError(error, io.color));
    return error.kind.exit;
  }
  if (io.signal.aborted) return EXIT_INTERRUPTED;
  io.say(`error: ${messageOf(error)}\n`);
  if (io.env.DAVY_DEBUG && error instanceof Error) io.say(`${error.stack}\n`);
  return 1;
}

import { Command, CommanderError } from 'commander';
import { DavyError, messageOf } from '../lib/error.ts';
import { paragraphs, term } from '../lib/outside-text/terminal.ts';
import { own } from '../lib/own.ts';
import { VERSION } from '../version.ts';
import { cliErrors } from './errors.ts';
import { renderError } from './fail.ts';
import { type CliIo, EXIT_INTERRUPTED } from './io.ts';

type Load = () => Promise<{ register(program: Command, io: CliIo): void }>;

/** One file, four commands. */
const actions: Load = () => import('./actions.ts');

/** Every command in the order of the help. Each is loaded when it is called: the whole product behind `davy status` cost it half a second. */
const VERBS: Record<string, Load> = {
  check: () => import('./check.ts'),
  schema: () => import('./schema.ts'),
  simulate: () => import('./simulate.ts'),
  replay: () => import('./replay.ts'),
  up: () => import('./up.ts'),
  demo: () => import('./demo.ts'),
  release: () => import('./release.ts'),
  status: () => import('./status.ts'),
  explain: () => import('./explain.ts'),
  pause: actions,
  resume: actions,
  promote: actions,
  rollback: actions,
  continue: () => import('./continue.ts'),
  evidence: () => import('./evidence.ts'),
  controller: () => import('./controller.ts'),
  gateway: () => import('./gateway.ts'),
  chaos: () => import('./chaos.ts'),
  load: () => import('./load.ts'),
  report: () => import('./report.ts'),
  verify: () => import('./verify.ts'),
  witness: () => import('./witness.ts'),
};

/** Runs one command line and answers with the exit code of design: 0, 1 … 6, 130. */
export async function runCli(argv: string[], io: CliIo): Promise<number> {
  try {
    const program = await buildProgram(argv[0], io);
    await program.parseAsync(argv, { from: 'user' });
    return io.exitCode;
  } catch (error) {
    return exitCodeOf(error, io);
  }
}

/** With the called command alone, where the first word names one; with all of them for help and for a suggestion. */
async function buildProgram(called: string | undefined, io: CliIo): Promise<Command> {
  const program = new Command('davy')
    .description('Release safety from one file: route, release step by step, judge, roll back, prove.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(paragraphs(text)), writeErr: (text) => io.say(paragraphs(text)) })
    .showSuggestionAfterError()
    .addHelpText('after', HELP);
  const one = called === undefined ? undefined : own(VERBS, called);
  const loads = one ? [one] : [...new Set(Object.values(VERBS))];
  for (const { register } of await Promise.all(loads.map((load) => load()))) register(program, io);
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
  io.say(term`error: ${messageOf(error)}\n`);
  if (io.env.DAVY_DEBUG && error instanceof Error) io.say(term`${paragraphs(error.stack ?? '')}\n`);
  return 1;
}

import { type Clock, systemClock } from '../lib/clock.ts';
import type { TerminalText } from '../lib/outside-text/terminal.ts';

/**
 * The world of a command: data goes to `out`, talk goes to `say`. Both take text that is fit for a terminal and nothing
 * else, so that what came from outside cannot be passed on raw. Tests pass their own.
 */
export interface CliIo {
  /** Data: standard output. */
  out(text: TerminalText): void;
  /** Talk: standard error. */
  say(text: TerminalText): void;
  env: Record<string, string | undefined>;
  cwd: string;
  /** Standard output is a terminal that can be redrawn. */
  interactive: boolean;
  columns(): number;
  color: boolean;
  clock: Clock;
  /** Aborted by Ctrl-C or SIGTERM. */
  signal: AbortSignal;
  /** The exit code of a command that ended without an exception. */
  exitCode: number;
}

/** Exit code after Ctrl-C. */
export const EXIT_INTERRUPTED = 130;

export function processIo(): CliIo {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop.abort(name));
  // A reader that went away (`davy status | head`) is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
  });
  const interactive = process.stdout.isTTY === true && process.env.TERM !== 'dumb';
  return {
    out: (text) => void process.stdout.write(String(text)),
    say: (text) => void process.stderr.write(String(text)),
    env: process.env,
    cwd: process.cwd(),
    interactive,
    columns: () => process.stdout.columns ?? 80,
    color: interactive && !process.env.NO_COLOR,
    clock: systemClock,
    signal: stop.signal,
    exitCode: 0,
  };
}

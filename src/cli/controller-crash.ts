import { join } from 'node:path';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';
import { appendToLog } from '../lib/log-file.ts';
import { term } from '../lib/outside-text/terminal.ts';

/** Keeps the stack of a defect where a person finds it, in `controller-crash.log`. Returns the text for the supervisor. */
export function keepCrash(error: unknown, logDir: string, clock: Clock): string {
  const file = join(logDir, 'controller-crash.log');
  const stack = error instanceof Error && error.stack ? error.stack : messageOf(error);
  try {
    appendToLog(file, `${new Date(clock.nowMs()).toISOString()} ${stack}\n`);
  } catch {
    // A full disk may be why it crashes; the sentence still reaches the supervisor.
    return String(term`error: ${messageOf(error)}\n`);
  }
  return String(term`error: ${messageOf(error)}\n  its stack is in ${file}\n`);
}

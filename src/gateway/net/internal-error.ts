/** Faults of the gateway's own program. */
import { term } from '../../lib/outside-text/terminal.ts';

/** Lines written per process; beyond, faults are counted only. */
const LINES = 100;

/** How many there were. */
export const internalErrors = { count: 0 };

/**
 * An exception that handling one connection's octets, end or deadline threw. It ends that connection and no other: the process serves many. It
 * is never expected, so it is counted (`davy_gateway_internal_errors_total`), and where it comes from is written to the log, without the octets.
 */
export function noteInternalError(error: unknown): void {
  internalErrors.count++;
  if (internalErrors.count > LINES) return;
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const where = stack.split('\n').map((line) => line.trim());
  process.stderr.write(String(term`gateway: internal error, one connection is closed: ${where.join(' | ')}\n`));
}

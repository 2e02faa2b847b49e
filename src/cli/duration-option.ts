import { Option } from 'commander';
import { DavyError } from '../lib/error.ts';
import { formatDurationMs, parseDurationMs } from '../lib/units.ts';
import { cliErrors } from './errors.ts';

/** An option that takes `30s`, `10m` or `2h` and gives milliseconds; the help shows its default as it is written. Throws `cli/usage`. */
export function durationOption(flags: string, says: string, defaultMs?: number): Option {
  const option = new Option(flags, says).argParser(milliseconds);
  return defaultMs === undefined ? option : option.default(defaultMs, formatDurationMs(defaultMs));
}

function milliseconds(text: string): number {
  const ms = parseDurationMs(text);
  if (ms !== null) return ms;
  throw new DavyError(cliErrors.usage, `"${text}" is not a duration; write 30s, 10m or 2h.`);
}

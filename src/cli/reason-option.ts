import { Option } from 'commander';
import { readableReason } from '../lib/reason.ts';

/** `--reason <text>`, which must be given. Throws `lib/blank-reason` when nothing can be read in it. */
export function reasonOption(says = 'why; written to the ledger'): Option {
  return optionalReason('--reason <text>', says).makeOptionMandatory();
}

/** A text that says why, where it is given. */
export function optionalReason(flags: string, says: string): Option {
  return new Option(flags, says).argParser(readableReason);
}

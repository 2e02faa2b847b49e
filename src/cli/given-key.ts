import { type NoteVerifier, parseVerifierKey } from '../ledger/keys.ts';
import { DavyError, messageOf } from '../lib/error.ts';
import { cliErrors } from './errors.ts';

/** A verifier key from the command line. Throws `cli/usage`: a key that is none must not look like a ledger that was altered. */
export function parseGivenKey(text: string): NoteVerifier {
  try {
    return parseVerifierKey(text);
  } catch (error) {
    throw new DavyError(cliErrors.usage, messageOf(error), { cause: error });
  }
}

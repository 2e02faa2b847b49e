import { DavyError } from './error.ts';
import { libErrors } from './errors.ts';
import { isBlank } from './outside-text/visible.ts';

/** The reason that a person gives, without the white space around it. Throws `lib/blank-reason` when nothing can be read in it. */
export function readableReason(text: string): string {
  if (!isBlank(text)) return text.trim();
  throw new DavyError(libErrors['blank-reason'], 'The reason is blank.');
}

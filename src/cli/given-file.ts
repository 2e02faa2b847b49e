import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { DavyError, messageOf } from '../lib/error.ts';
import { cliErrors } from './errors.ts';
import type { CliIo } from './io.ts';

/** The text of a file that an option or argument names. Throws `cli/usage` with the name as it was given. */
export function readGivenFile(file: string, io: CliIo): Promise<string> {
  return readFile(resolve(io.cwd, file), 'utf8').catch((error: unknown) => {
    throw new DavyError(cliErrors.usage, `${file} cannot be read: ${messageOf(error)}.`, { cause: error });
  });
}

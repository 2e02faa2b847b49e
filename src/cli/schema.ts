import type { Command } from 'commander';
import { jsonText, term } from '../lib/outside-text/terminal.ts';
import { specJsonSchema } from '../spec/json-schema.ts';
import type { CliIo } from './io.ts';

/** `schema`: the JSON Schema of davy.yaml, for editors. */
export function register(program: Command, io: CliIo): void {
  program
    .command('schema')
    .description('print the JSON Schema of davy.yaml for your editor')
    .action(() => io.out(term`${jsonText(specJsonSchema())}\n`));
}

import type { Command } from 'commander';
import { specJsonSchema } from '../spec/json-schema.ts';
import type { CliIo } from './io.ts';

/** `schema`: the JSON Schema of davy.yaml, for editors. */
export function register(program: Command, io: CliIo): void {
  program
    .command('schema')
    .description('print the JSON Schema of davy.yaml for your editor')
    .action(() => io.out(`${JSON.stringify(specJsonSchema(), null, 2)}\n`));
}

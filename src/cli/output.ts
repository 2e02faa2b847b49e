import { type Command, Option } from 'commander';
import { jsonText, term } from '../lib/outside-text/terminal.ts';
import type { CliIo } from './io.ts';

/** Every JSON document that a command prints carries this version; it changes when a field changes its meaning. */
const SCHEMA_VERSION = 1;

export function outputOption(command: Command): Command {
  return command.addOption(
    new Option('-o, --output <format>', 'how to print the data').choices(['text', 'json']).default('text'),
  );
}

export function printJson(io: CliIo, document: Record<string, unknown>): void {
  io.out(term`${jsonText({ schemaVersion: SCHEMA_VERSION, ...document })}\n`);
}

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { checkFile, findingsOf } from '../spec/check.ts';
import { renderFindings } from '../spec/render-finding.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';

/** `check` (alias `lint`): everything that is wrong or doubtful in a spec, with places and next steps. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('check')
    .alias('lint')
    .description('validate a spec and lint its arithmetic')
    .argument('<file>', 'the davy.yaml');
  outputOption(command).action(async (file: string, options: { output: string }) => {
    const result = await checkFile(resolve(io.cwd, file));
    const findings = findingsOf(result);
    const ok = result.errors.length === 0;
    if (options.output === 'json') printJson(io, { ok, findings });
    else if (findings.length > 0) io.out(`${renderFindings(findings, result.text).trimEnd()}\n`);
    else io.out(`${file}: ok\n`);
    io.exitCode = ok ? 0 : 2;
  });
}

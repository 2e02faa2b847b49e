import { resolve } from 'node:path';
import type { Command } from 'commander';
import { promotionDoubts } from '../analysis/simulate/promotable.ts';
import { term } from '../lib/outside-text/terminal.ts';
import { type CheckResult, checkFile, findingsOf } from '../spec/check.ts';
import { type Finding, told } from '../spec/finding.ts';
import { renderFindings } from '../spec/render-finding.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';

/** `check` (alias `lint`): everything that is wrong or doubtful in a spec, with places and next steps. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('check')
    .alias('lint')
    .description('validate a spec, lint its arithmetic and try its policies at the declared traffic')
    .argument('<file>', 'the davy.yaml');
  outputOption(command).action(async (file: string, options: { output: string }) => {
    const result = await checkFile(resolve(io.cwd, file));
    const found = told([...findingsOf(result), ...promotionWarnings(result, io)], result.omitted);
    const ok = result.errors.length === 0;
    const { shown: findings, errors, warnings } = found;
    if (options.output === 'json') printJson(io, { ok, findings, errors, warnings });
    else if (findings.length > 0) io.out(term`${renderFindings(found, result.text)}\n`);
    else io.out(term`${file}: ok\n`);
    io.exitCode = ok ? 0 : 2;
  });
}

/** What a few simulated releases say of the policies; what was too long to simulate is said beside the findings. */
function promotionWarnings({ spec, at }: CheckResult, io: CliIo): Finding[] {
  if (spec === null || at === null) return [];
  const { unlikely, skipped } = promotionDoubts(spec);
  for (const reason of skipped) io.say(term`not simulated: ${reason}\n`);
  return unlikely.map(({ service, sentence, next }) => ({
    code: 'analysis/promotion-unlikely',
    severity: 'warning',
    sentence,
    position: at(['services', service, 'expect', 'rate']),
    next,
  }));
}

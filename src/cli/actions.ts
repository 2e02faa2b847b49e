import type { Command } from 'commander';
import { term } from '../lib/outside-text/terminal.ts';
import { formatWeightBp } from '../lib/units.ts';
import type { ReleaseDoc } from '../server/schemas.ts';
import { connect, connectionOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { reasonOption } from './reason-option.ts';

interface ActionOptions {
  port: number;
  url?: string;
  reason: string;
  output: string;
  full?: boolean;
}

const VERBS = {
  pause: 'keep the weight where it is; harm is still looked for',
  resume: 'end a pause',
  promote: 'raise the weight one step ahead of the evidence',
  rollback: 'return to the version before, at once',
} as const;

/** `pause`, `resume`, `promote`, `rollback`: what a person may do to a release. */
export function register(program: Command, io: CliIo): void {
  for (const verb of Object.keys(VERBS) as (keyof typeof VERBS)[]) {
    const command = program
      .command(verb)
      .description(VERBS[verb])
      .argument('<release>', 'for example service-b-2')
      .addOption(reasonOption());
    if (verb === 'promote') command.option('--full', 'straight to the watch at 100 %');
    outputOption(connectionOptions(command)).action(async (release: string, options: ActionOptions) => {
      const body = { reason: options.reason, ...(options.full ? { full: true } : {}) };
      const path = `/api/v1/releases/${encodeURIComponent(release)}/${verb}`;
      const after = await connect(options, io).post<ReleaseDoc>(path, body);
      if (options.output === 'json') printJson(io, { release: after });
      else
        io.out(
          term`${after.id} (${after.service} ${after.version}): ${after.phase} at ${formatWeightBp(after.weightBp)}\n`,
        );
    });
  }
}

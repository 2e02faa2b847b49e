import type { Command } from 'commander';
import { columns, joined, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { type Explanation, explainRelease } from '../release/explain.ts';
import type { ReleaseDoc } from '../server/schemas.ts';
import { connect, connectionOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { outputOption, printJson } from './output.ts';
import { styleFor } from './style.ts';

/** `explain`: the decision in a sentence, then its inputs. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('explain')
    .description('why a release is where it is: the decision in a sentence, then its inputs')
    .argument('<release>', 'for example service-b-2');
  outputOption(connectionOptions(command)).action(
    async (id: string, options: { port: number; url?: string; output: string }) => {
      const release = await connect(options, io).get<ReleaseDoc>(`/api/v1/releases/${encodeURIComponent(id)}`);
      const explanation = explainRelease(release);
      if (options.output === 'json') printJson(io, { release, ...explanation });
      else io.out(renderExplanation(explanation, io.color));
    },
  );
}

function renderExplanation(explanation: Explanation, color: boolean): TerminalText {
  const style = styleFor(color);
  const lines: Shown[] = [style.bold(explanation.sentence), ''];
  lines.push(columns(explanation.facts.map(([label, value]) => [style.dim(label), value])));
  if (explanation.evidence.length > 0) {
    const head = ['metric', 'canary', 'stable', 'evidence', 'budget', ''].map((text) => style.dim(text));
    lines.push('', columns([head, ...explanation.evidence]));
  }
  lines.push('', `next: ${explanation.next}`);
  return term`${joined(lines)}\n`;
}

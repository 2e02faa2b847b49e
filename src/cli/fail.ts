import type { DavyError, Position } from '../lib/error.ts';
import { joined, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatCount } from '../lib/units.ts';
import { styleFor } from './style.ts';

/** How an error reads on a terminal: code, sentence, position, next step; further findings below. */
export function renderError(error: DavyError, color: boolean): TerminalText {
  const style = styleFor(color);
  const lines = [error, ...error.more].flatMap((one) => [
    term`${style.bad('error')} ${style.dim(term`[${one.code}]`)} ${one.message}`,
    ...(one.position ? [term`  at ${positionText(one.position)}`] : []),
    term`  next: ${one.next}`,
  ]);
  if (error.omitted > 0) lines.push(term`and ${formatCount(error.omitted)} more`);
  return term`${joined(lines)}\n`;
}

function positionText({ file, line, column }: Position): string {
  return [file ?? 'input', line, column].filter((part) => part !== undefined).join(':');
}

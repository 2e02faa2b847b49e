import type { DavyError, Position } from '../lib/error.ts';
import { formatCount } from '../lib/units.ts';
import { printable, styleFor } from './style.ts';

/** How an error reads on a terminal: code, sentence, position, next step; further findings below. */
export function renderError(error: DavyError, color: boolean): string {
  const style = styleFor(color);
  const lines = [error, ...error.more].flatMap((one) => [
    `${style.bad('error')} ${style.dim(`[${one.code}]`)} ${printable(one.message)}`,
    ...(one.position ? [`  at ${positionText(one.position)}`] : []),
    `  next: ${one.next}`,
  ]);
  if (error.omitted > 0) lines.push(`and ${formatCount(error.omitted)} more`);
  return `${lines.join('\n')}\n`;
}

function positionText({ file, line, column }: Position): string {
  return [file ?? 'input', line, column].filter((part) => part !== undefined).join(':');
}

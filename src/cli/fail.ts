import type { DavyError, Position } from '../lib/error.ts';
import { printable, styleFor } from './style.ts';

/** How an error reads on a terminal: code, sentence, position, next step; further findings below. */
export function renderError(error: DavyError, color: boolean): string {
  const style = styleFor(color);
  const lines = [error, ...error.more].flatMap((one) => [
    `${style.bad('error')} ${style.dim(`[${one.code}]`)} ${printable(one.message)}`,
    ...(one.position ? [`  at ${positionText(one.position)}`] : []),
    `  next: ${one.next}`,
  ]);
  return `${lines.join('\n')}\n`;
}

function positionText({ file, line, column }: Position): string {
  return [file ?? 'input', line, column].filter((part) => part !== undefined).join(':');
}

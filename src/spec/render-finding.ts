import type { Position } from '../lib/error.ts';
import { formatCount } from '../lib/units.ts';
import type { Finding, Told } from './finding.ts';
import { type SourceLines, sourceLines } from './source-lines.ts';

const excerptWidth = 100;

/**
 * A finding as plain text: place, code and sentence, the line of the file with a caret, the next step.
 * No colours, no dependence on the terminal; control characters of the file are shown as `·`.
 */
export function renderFinding(finding: Finding, lines: SourceLines | null): string {
  const { code, severity, sentence, position, next } = finding;
  const place = [position?.file, position?.line, position?.column].filter((part) => part !== undefined).join(':');
  const shown = [`${place ? `${place}: ` : ''}${severity} ${code}`, `  ${plain(sentence)}`];
  if (lines && position?.line !== undefined) shown.push(...excerpt(lines(position.line), position));
  shown.push(`  next: ${plain(next)}`);
  return shown.join('\n');
}

/** What was found: as much as people read, and how much it is in all. */
export function renderFindings({ shown, errors, warnings }: Told, text: string | null): string {
  const lines = text === null ? null : sourceLines(text);
  const all = errors + warnings;
  const some = all > shown.length ? `; the first ${shown.length} are shown` : '';
  const summary = `${counted(errors, 'error')}, ${counted(warnings, 'warning')}${some}`;
  return [...shown.map((finding) => renderFinding(finding, lines)), summary].join('\n\n');
}

function excerpt(source: string, { line = 1, column = 1 }: Position): string[] {
  const from = Math.max(0, Math.min(column - 1 - excerptWidth / 2, source.length - excerptWidth));
  const shown = plain(source.slice(from, from + excerptWidth));
  const [before, after] = [from > 0 ? '…' : '', from + excerptWidth < source.length ? '…' : ''];
  const margin = String(line).length;
  const caret = ' '.repeat(before.length + Math.max(0, column - 1 - from));
  return [`  ${line} | ${before}${shown}${after}`.trimEnd(), `  ${' '.repeat(margin)} | ${caret}^`];
}

/** What a file contains must not steer the terminal that shows it. */
function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to replace
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, '·');
}

function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

import type { Position } from '../lib/error.ts';
import { exactly, joined, padded, type Shown, type TerminalText, term } from '../lib/outside-text/terminal.ts';
import { formatCount } from '../lib/units.ts';
import type { Finding, Told } from './finding.ts';
import { type SourceLines, sourceLines } from './source-lines.ts';

const excerptWidth = 100;

/**
 * A finding as plain text: place, code and sentence, the line of the file with a caret, the next step.
 * No colours, no dependence on the terminal; control characters of the file are shown as `·`.
 */
export function renderFinding(finding: Finding, lines: SourceLines | null): TerminalText {
  const { code, severity, sentence, position, next } = finding;
  const place = [position?.file, position?.line, position?.column].filter((part) => part !== undefined).join(':');
  const shown: Shown[] = [`${place ? `${place}: ` : ''}${severity} ${code}`, term`  ${sentence}`];
  if (lines && position?.line !== undefined) shown.push(...excerpt(lines(position.line), position));
  shown.push(term`  next: ${next}`);
  return joined(shown);
}

/** What was found: as much as people read, and how much it is in all. */
export function renderFindings({ shown, errors, warnings }: Told, text: string | null): TerminalText {
  const lines = text === null ? null : sourceLines(text);
  const all = errors + warnings;
  const some = all > shown.length ? `; the first ${shown.length} are shown` : '';
  const summary = `${counted(errors, 'error')}, ${counted(warnings, 'warning')}${some}`;
  return joined([...shown.map((finding) => renderFinding(finding, lines)), summary], '\n\n');
}

function excerpt(source: string, { line = 1, column = 1 }: Position): TerminalText[] {
  const from = Math.max(0, Math.min(column - 1 - excerptWidth / 2, source.length - excerptWidth));
  const shown = exactly(source.slice(from, from + excerptWidth).trimEnd());
  const [before, after] = [from > 0 ? '…' : '', from + excerptWidth < source.length ? '…' : ''];
  const caret = padded('^', before.length + Math.max(0, column - 1 - from) + 1, 'left');
  const gutter = padded('', String(line).length);
  const bar = source.trim() === '' ? term` |` : term` | `;
  return [term`  ${line}${bar}${before}${shown}${after}`, term`  ${gutter} | ${caret}`];
}

function counted(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}

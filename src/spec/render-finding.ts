import type { Finding } from './finding.ts';

const excerptWidth = 100;

/**
 * A finding as plain text: place, code and sentence, the line of the file with a caret, the next step.
 * No colours, no dependence on the terminal; control characters of the file are shown as `·`.
 */
export function renderFinding(finding: Finding, text: string | null): string {
  const { code, severity, sentence, position, next } = finding;
  const place = [position?.file, position?.line, position?.column].filter((part) => part !== undefined).join(':');
  const lines = [`${place ? `${place}: ` : ''}${severity} ${code}`, `  ${plain(sentence)}`];
  if (text !== null && position?.line !== undefined) lines.push(...excerpt(text, position.line, position.column ?? 1));
  lines.push(`  next: ${plain(next)}`);
  return lines.join('\n');
}

/** All findings with a count at the end. */
export function renderFindings(findings: readonly Finding[], text: string | null): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const summary = `${counted(errors, 'error')}, ${counted(findings.length - errors, 'warning')}`;
  return [...findings.map((finding) => renderFinding(finding, text)), summary].join('\n\n');
}

function excerpt(text: string, line: number, column: number): string[] {
  const source = (text.split('\n', line)[line - 1] ?? '').replace(/\r$/, '');
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
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

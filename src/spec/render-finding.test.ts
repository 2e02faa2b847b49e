import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkFile, findingsOf } from './check.ts';
import { type Finding, told } from './finding.ts';
import { renderFinding, renderFindings } from './render-finding.ts';
import { sourceLines } from './source-lines.ts';

const folder = 'test/golden/spec';
const shown = [
  'invalid-many-at-once',
  'invalid-yaml-not-utf8',
  'invalid-run-substitution',
  'valid-warns-sample-too-small',
  'valid-minimal',
];

const finding = (line: number, column: number): Finding => ({
  code: 'spec/x',
  severity: 'error',
  sentence: 'Wrong',
  position: { file: 'f', line, column },
  next: 'Mend it.',
});

/** The lines of the excerpt: the one of the file, and the one with the caret. */
function excerpt(text: string, line: number, column: number): string[] {
  return String(renderFinding(finding(line, column), sourceLines(text)))
    .split('\n')
    .slice(2, 4);
}

describe('renderFindings', () => {
  it('looks as in rendered.golden.txt (UPDATE=1 rewrites it)', async () => {
    const parts: string[] = [];
    for (const name of shown) {
      const result = await checkFile(`${folder}/${name}.yaml`);
      parts.push(`$ davy check ${name}.yaml\n${renderFindings(told(findingsOf(result)), result.text)}\n`);
    }
    const path = `${folder}/rendered.golden.txt`;
    if (process.env.UPDATE === '1') writeFileSync(path, parts.join('\n'));
    expect(parts.join('\n')).toBe(readFileSync(path, 'utf8'));
  });
});

describe('renderFinding', () => {
  it('puts the caret under the column, whatever the line holds', () => {
    const text = `a: 1\n\tb: "\u001b[31m\u202e"\r\n${'x'.repeat(500)}!${'y'.repeat(500)}`;
    expect(excerpt(text, 1, 4)).toEqual(['  1 | a: 1', '    |    ^']);
    expect(excerpt(text, 2, 2)).toEqual(['  2 | ·b: "·[31m·"', '    |  ^']);
    const [line = '', caret = ''] = excerpt(text, 3, 501);
    expect(line[caret.indexOf('^')]).toBe('!');
    expect(line.length).toBeLessThan(110);
  });

  it('does without a text, a line or a file', () => {
    const { position: _, ...nowhere } = finding(1, 1);
    expect(String(renderFinding(nowhere, sourceLines('a')))).toBe('error spec/x\n  Wrong\n  next: Mend it.');
    expect(String(renderFinding(finding(1, 1), null))).not.toContain('|');
    expect(excerpt('a', 7, 3)).toEqual(['  7 |', '    |   ^']);
  });
});

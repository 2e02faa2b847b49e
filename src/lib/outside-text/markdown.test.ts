import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostileText } from './hostile.fixture.ts';
import { blocks, code, md, table } from './markdown.ts';
import { tsvRow } from './tsv.ts';

/** What is left of a text when everything that is literal in Markdown is taken out. */
function active(text: string): string {
  return text.replace(/\\[!-/:-@[-`{-~]/g, '').replace(/&(amp|lt|gt);/g, '');
}

describe('Markdown', () => {
  it('whatever the text, it begins no block, opens no span, link or tag, and ends no cell and no line', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const shown = String(md`${text}`);
        expect(shown).not.toMatch(/[\n\r\u2028\u2029\p{Cs}]/u);
        expect(active(shown)).not.toMatch(/[<>`*[\]|~\\]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/);
        expect(shown).not.toMatch(/^([-+=#>](?!\w)|\d+[.)](\s|$))/);
      }),
    );
  });

  it.each([
    ['<img src=x onerror=alert(1)>', '&lt;img src=x onerror=alert(1)&gt;'],
    ['[x](javascript:alert(1))', '\\[x\\](javascript:alert(1))'],
    ['# heading\n- item', '\\# heading⏎- item'],
    ['12. item', '12\\. item'],
    ['-5 % of 1.0 s', '-5 % of 1.0 s'],
    ['a | b', 'a \\| b'],
    ['service_b is __down__', 'service_b is \\_\\_down\\_\\_'],
    ['v1.2.3 – 5 % (was 3 %)', 'v1.2.3 – 5 % (was 3 %)'],
  ])('%s is written as text', (text, written) => expect(String(md`${text}`)).toBe(written));

  it('takes its own words and what it made itself as they stand', () => {
    expect(String(blocks([md`# ${'a*b'}`, '', md`- **${'x'}** ${5}`]))).toBe('# a\\*b\n\n- **x** 5');
  });

  it('writes as code what cannot end the code, and as text what could', () => {
    expect(String(code('sha256:ab/cd+ef='))).toBe('`sha256:ab/cd+ef=`');
    expect(String(code('a`<b>'))).toBe('a\\`&lt;b&gt;');
  });

  it('has tables of as many cells and rows as it was given', () => {
    fc.assert(
      fc.property(fc.array(fc.array(hostileText, { minLength: 3, maxLength: 3 }), { minLength: 1 }), (rows) => {
        const lines = String(table(['a', 'b', 'c'], rows)).split('\n');
        expect(lines).toHaveLength(rows.length + 2);
        for (const line of lines) expect(active(line).match(/\|/g)).toHaveLength(4);
      }),
    );
    expect(String(table(['a'], []))).toBe('none');
  });
});

describe('a row of a table with tabs', () => {
  it('has as many cells as it was given, in one line, and none is a formula', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(hostileText, fc.constantFrom('=1+1', '@x', '-2', '+3')), { minLength: 1 }),
        (cells) => {
          const row = tsvRow(cells);
          expect(row.slice(0, -1)).not.toMatch(/[\n\r\u2028]/);
          const back = row.slice(0, -1).split('\t');
          expect(back).toHaveLength(cells.length);
          for (const cell of back) expect(cell).not.toMatch(/^[=+\-@]/);
        },
      ),
    );
  });
});

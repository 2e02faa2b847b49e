import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostileText, TRICKS } from './hostile.fixture.ts';
import { columns, exactly, joined, jsonText, linesOf, padded, painted, paragraphs, term } from './terminal.ts';
import { isBlank, isolated, oneLine, visible } from './visible.ts';

/** No text for people needs any of these; emoji keep what they are made with. */
const ACTS_OR_HIDES = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|[\p{Cf}--\u200d]/v;

describe('text from outside', () => {
  it.each(Object.entries(TRICKS))('shows %s as a character', (_, trick) => {
    expect(ACTS_OR_HIDES.test(visible(`a${trick}b`))).toBe(false);
    expect(visible(`a${trick}b`).length).toBeGreaterThan(2);
    expect(oneLine(`a${trick}b`).split('\n')).toHaveLength(1);
  });

  it.each(['ok', 'größer als 5 %', 'שלום', '中文', '⚠️ hotfix', '👩‍💻 fixed it', '👍🏽', '❤️‍🔥', '1️⃣', 'e\u0301'])(
    'leaves %s as it is',
    (text) => {
      expect(visible(text)).toBe(text);
      expect(oneLine(text)).toBe(text);
    },
  );

  it('never acts or hides, and is the same when it is shown again', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const shown = visible(text);
        expect(ACTS_OR_HIDES.test(shown)).toBe(false);
        expect(visible(shown)).toBe(shown);
        expect(oneLine(oneLine(text))).toBe(oneLine(text));
        expect(/\s{2}|^\s|\s$/.test(oneLine(text))).toBe(false);
      }),
    );
  });

  it('does not stack marks into other lines', () => {
    expect(visible(`a${'\u0301'.repeat(50)}b`)).toBe(`a${'\u0301'.repeat(4)}b`);
  });

  it.each(['', '   ', '\t\n', '\u200b', '\u2060\ufeff', '\u3164', '\u2800', '\u00ad\u202e', '\u0301', '\u0000'])(
    '%j is blank',
    (text) => expect(isBlank(text)).toBe(true),
  );
  it.each(['x', ' . ', '👍', 'a\u200b'])('%j is not blank', (text) => expect(isBlank(text)).toBe(false));

  it('is set apart where it runs from right to left', () => {
    expect(isolated('abc')).toBe('abc');
    expect(isolated('שלום 5')).toBe('\u2068שלום 5\u2069');
  });
});

describe('text for a terminal', () => {
  it('takes the words of the source as they stand and everything else as one line of text', () => {
    const reason = 'ok\nsvc-99  v9  completed  PASS';
    expect(String(term`a\n  ${reason}: ${5}\n`)).toBe('a\n  ok⏎svc-99 v9 completed PASS: 5\n');
    expect(String(term`${term`two\nlines`} ${painted(1, 22, 'bold')}`)).toBe('two\nlines \u001b[1mbold\u001b[22m');
    expect(String(painted(1, 22, '\u001b[0m'))).toBe('\u001b[1m·[0m\u001b[22m');
  });

  it('has as many lines as it was made of, whatever they hold', () => {
    fc.assert(
      fc.property(
        fc.array(hostileText, { minLength: 1 }),
        fc.array(fc.array(hostileText, { minLength: 1 })),
        (lines, rows) => {
          expect(linesOf(joined(lines))).toHaveLength(lines.length);
          expect(linesOf(columns(rows))).toHaveLength(Math.max(1, rows.length));
          expect(linesOf(exactly(lines[0]!))).toHaveLength(1);
        },
      ),
    );
  });

  it('keeps the lines of a file and the columns of an excerpt', () => {
    expect(String(paragraphs('a\r\n\tb\n\u001b[2Jc'))).toBe('a\n    b\n·[2Jc');
    expect(String(exactly('\ta  b'))).toBe('·a  b');
    expect(String(padded('ab', 4, 'left'))).toBe('  ab');
  });

  it('prints JSON that reads back as the same value and cannot act on the terminal', () => {
    fc.assert(
      fc.property(fc.dictionary(hostileText, hostileText), (value) => {
        const text = String(jsonText(value));
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(/[[\p{Cc}--\n]\p{Cf}\p{Zl}\p{Zp}]/v.test(text)).toBe(false);
      }),
    );
  });
});

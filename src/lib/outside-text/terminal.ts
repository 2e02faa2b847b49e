import { visibleJson } from './json.ts';
import { oneLine, visible } from './visible.ts';

/** Text that may be written to a terminal. Only this module makes it: what comes from outside is made visible on the way. */
class Text {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type TerminalText = Text;
/** What a place for text takes: a string is taken for text from outside, whoever wrote it. */
export type Shown = TerminalText | string | number;

const COLOUR = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g');

/** The words of the source as they stand; every value that is no `TerminalText` as one line of visible characters. */
export function term(words: TemplateStringsArray, ...values: readonly Shown[]): TerminalText {
  return new Text(words.map((word, i) => (i === 0 ? word : textOf(values[i - 1]!) + word)).join(''));
}

/** Several lines, or several parts in a line. */
export function joined(parts: readonly Shown[], between = '\n'): TerminalText {
  return new Text(parts.map(textOf).join(between));
}

/** Text in several lines from outside whose lines are meant: a file, a page, a report. Each is made visible, none is added. */
export function paragraphs(text: string): TerminalText {
  const lines = text.split(/\r?\n/).map((line) => visible(line.replaceAll('\t', '    ')));
  return new Text(lines.join('\n'));
}

/** A part of a line, character by character, so that a caret below it points at the right one. */
export function exactly(text: string): TerminalText {
  return new Text(visible(text));
}

/** A JSON document, laid out for people. */
export function jsonText(value: unknown): TerminalText {
  return new Text(visibleJson(JSON.stringify(value, null, 2)));
}

/** Octets as they are, for a file or another program at the other end: never for a terminal. */
export function unchanged(text: string): TerminalText {
  return new Text(text);
}

/** One of the terminal's own modes around a text: SGR codes (ECMA-48, section 8.3.117). */
export function painted(open: number, close: number, text: Shown): TerminalText {
  return new Text(`\u001b[${open}m${textOf(text)}\u001b[${close}m`);
}

/** Filled with spaces to so many columns. */
export function padded(text: Shown, width: number, side: 'left' | 'right' = 'right'): TerminalText {
  const fill = ' '.repeat(Math.max(0, width - widthOf(text)));
  return new Text(side === 'right' ? textOf(text) + fill : fill + textOf(text));
}

/** Left-aligned columns, two spaces apart; the last column is not padded. */
export function columns(rows: readonly (readonly Shown[])[]): TerminalText {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
  return joined(
    rows.map((row) => {
      const cells = row.map((cell, i) => (i === row.length - 1 ? textOf(cell) : textOf(padded(cell, widths[i] ?? 0))));
      return new Text(cells.join('  ').trimEnd());
    }),
  );
}

/** The lines of a text. */
export function linesOf(text: TerminalText): TerminalText[] {
  return textOf(text)
    .split('\n')
    .map((line) => new Text(line));
}

/** Cut to so many columns, colour codes left whole. */
export function clipped(line: Shown, width: number): TerminalText {
  let seen = 0;
  let out = '';
  for (const part of textOf(line).split(new RegExp(`(${COLOUR.source})`))) {
    if (part.startsWith('\u001b')) out += part;
    else {
      out += part.slice(0, Math.max(0, width - seen));
      seen += part.length;
    }
  }
  return new Text(out);
}

function widthOf(text: Shown): number {
  return textOf(text).replace(COLOUR, '').length;
}

function textOf(text: Shown): string {
  return typeof text === 'string' ? oneLine(text) : String(text);
}

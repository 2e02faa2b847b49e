import { isolated, oneLine } from './visible.ts';

/** Markdown (GitHub's). Only this module makes it: text from outside is text in it, never markup, and never a second line. */
class Text {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type Markdown = Text;
/** What a place for text takes: a string is taken for text from outside, whoever wrote it. */
type Part = Markdown | string | number;

const ENTITIES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
]);

/** The words of the source as Markdown; every value that is no `Markdown` as text. */
export function md(words: TemplateStringsArray, ...values: readonly Part[]): Markdown {
  return new Text(words.map((word, i) => (i === 0 ? word : textOf(values[i - 1]!) + word)).join(''));
}

export function blocks(lines: readonly Part[]): Markdown {
  return new Text(lines.map(textOf).join('\n'));
}

/** Text in the typeface of code where it can be; where it holds what would end it, as plain text. */
export function code(text: string): Markdown {
  return /^[\w.:/@+=,-]+$/.test(text) ? new Text(`\`${text}\``) : new Text(textOf(text));
}

/** A table; without rows the word `none`. */
export function table(head: readonly Part[], rows: readonly (readonly Part[])[]): Markdown {
  if (rows.length === 0) return new Text('none');
  const line = (cells: readonly Part[]): Markdown => new Text(`| ${cells.map(textOf).join(' | ')} |`);
  return blocks([line(head), line(head.map(() => new Text('---'))), ...rows.map(line)]);
}

function textOf(part: Part): string {
  return typeof part === 'string' ? escaped(part) : String(part);
}

/**
 * CommonMark 0.31, section 2.4: a backslash makes punctuation literal. Markup of HTML becomes entities, because not every
 * reader knows the backslash there. What would begin a heading, a list or a quotation is made literal at the start.
 */
function escaped(text: string): string {
  return isolated(oneLine(text))
    .replace(/[&<>]/g, (char) => ENTITIES.get(char) ?? char)
    .replace(/[\\`*[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])/g, '\\$&')
    .replace(/^[-+=#](?!\w)|^\d+(?=[.)](?:\s|$))/, (start) => (/\d/.test(start) ? `${start}\\` : `\\${start}`));
}

import { isolated, oneLine } from './visible.ts';

/** HTML and SVG. Only this module makes it: text from outside is text in it, in elements and in quoted attributes. */
class Text {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type Markup = Text;
/** What a place for text takes: a string is taken for text from outside, whoever wrote it. */
type Part = Markup | string | number | readonly Markup[];

const ENTITIES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
]);

/** The words of the source as markup; every value that is no `Markup` as text. */
export function html(words: TemplateStringsArray, ...values: readonly Part[]): Markup {
  return new Text(words.map((word, i) => (i === 0 ? word : textOf(values[i - 1]!) + word)).join(''));
}

export function lines(parts: readonly Markup[]): Markup {
  return new Text(parts.map(String).join('\n'));
}

function textOf(part: Part): string {
  if (typeof part === 'string')
    return isolated(oneLine(part)).replace(/[&<>"']/g, (char) => ENTITIES.get(char) ?? char);
  return Array.isArray(part) ? part.map(String).join('') : String(part);
}

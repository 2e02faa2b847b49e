import type { Position } from '../lib/error.ts';

/**
 * A JavaScript literal as data, each part with its place. `expression` is anything that has to be run to have a value (a name, a call, a sum,
 * a template with `${}`): its text is kept, and nothing is run.
 */
export type Literal = { at: Position } & (
  | { kind: 'object'; entries: Map<string, Literal>; unreadable: UnreadableEntry[] }
  | { kind: 'array'; items: Literal[] }
  | { kind: 'value'; value: string | number | boolean | null | undefined }
  | { kind: 'expression'; text: string }
);

/** An entry of an object whose name, or whose very number, is not known without running it: a spread, a computed name, a method, a getter. */
export interface UnreadableEntry {
  at: Position;
  text: string;
}

/** Where and why a text is no literal. */
export class LiteralError extends Error {
  readonly at: Position;

  constructor(sentence: string, at: Position) {
    super(sentence);
    this.at = at;
  }
}

const depthMax = 50;
const identifier = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;
/** ECMA-262 section 12.9.3, without BigInt and the old octal form. */
const number =
  /(?:0[xX][\da-fA-F]+(?:_[\da-fA-F]+)*|0[oO][0-7]+(?:_[0-7]+)*|0[bB][01]+(?:_[01]+)*|(?:(?:0|[1-9]\d*(?:_\d+)*)(?:\.(?:\d+(?:_\d+)*)?)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+(?:_\d+)*)?)(?![\p{ID_Start}\d$_])/uy;
const blank = /(?:[\s\u200b\ufeff]|\/\/[^\n\r\u2028\u2029]*|\/\*[\s\S]*?\*\/)*/uy;
const words: ReadonlyMap<string, number | boolean | null | undefined> = new Map<
  string,
  number | boolean | null | undefined
>([
  ['true', true],
  ['false', false],
  ['null', null],
  ['undefined', undefined],
  ['Infinity', Number.POSITIVE_INFINITY],
  ['NaN', Number.NaN],
]);

/**
 * Reads the literal that begins at `from` (ECMA-262 section 13.2), JSON included, with comments and trailing commas. Returns it with the
 * offset just behind it. Throws `LiteralError` on what is no JavaScript at all, a property that stands twice, and more than 50 levels.
 */
export function parseLiteral(source: string, from = 0): { literal: Literal; end: number } {
  const reader = new Reader(source, from);
  return { literal: reader.value(0), end: reader.offset };
}

/** The offsets at which the lines of a text begin. */
function lineStartsOf(source: string): number[] {
  const starts = [0];
  for (let i = source.indexOf('\n'); i !== -1; i = source.indexOf('\n', i + 1)) starts.push(i + 1);
  return starts;
}

/** Line and column of an offset, from 1. */
export function placeIn(source: string, offset: number): Position {
  return placeAmong(lineStartsOf(source), offset);
}

function placeAmong(lineStarts: readonly number[], offset: number): Position {
  let [low, high] = [0, lineStarts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (lineStarts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - lineStarts[low]! + 1 };
}

class Reader {
  readonly #source: string;
  readonly #lineStarts: number[];
  offset: number;

  constructor(source: string, from: number) {
    this.#source = source;
    this.#lineStarts = lineStartsOf(source);
    this.offset = from;
  }

  value(depth: number): Literal {
    this.skipBlank();
    const start = this.offset;
    const at = this.#place(start);
    if (depth > depthMax) throw new LiteralError(`more than ${depthMax} levels`, at);
    const literal = this.#primary(depth, at);
    this.skipBlank();
    if (literal !== null && this.#endsHere()) return literal;
    this.offset = start;
    return { kind: 'expression', text: this.#skipExpression(at), at };
  }

  #primary(depth: number, at: Position): Literal | null {
    const char = this.#source[this.offset];
    if (char === '{') return this.#object(depth, at);
    if (char === '[') return this.#array(depth, at);
    if (char === '"' || char === "'" || char === '`') {
      const text = this.#string(at);
      return text === null ? null : { kind: 'value', value: text, at };
    }
    return this.#word(at);
  }

  #word(at: Position): Literal | null {
    const negative = this.#take('-');
    if (negative) this.skipBlank();
    const digits = this.#match(number);
    if (digits !== null) {
      const value = Number(digits.replaceAll('_', ''));
      return { kind: 'value', value: negative ? -value : value, at };
    }
    const name = this.#match(identifier);
    if (negative || name === null || !words.has(name)) return null;
    return { kind: 'value', value: words.get(name), at };
  }

  #object(depth: number, at: Position): Literal {
    this.offset++;
    const entries = new Map<string, Literal>();
    const unreadable: UnreadableEntry[] = [];
    for (;;) {
      this.skipBlank();
      if (this.#take('}')) return { kind: 'object', entries, unreadable, at };
      const start = this.offset;
      const place = this.#place(start);
      const key = this.#key(place);
      this.skipBlank();
      // `__proto__: x` is no property but changes what the others inherit (ECMA-262 section B.3.1).
      if (key === null || key === '__proto__' || !this.#take(':')) {
        this.offset = start;
        unreadable.push({ at: place, text: this.#skipExpression(place) });
      } else {
        if (entries.has(key)) throw new LiteralError(`${key} stands twice`, place);
        entries.set(key, this.value(depth + 1));
      }
      this.#separator('}');
    }
  }

  /** Null for what is no plain name. */
  #key(at: Position): string | null {
    const char = this.#source[this.offset];
    if (char === '"' || char === "'") return this.#string(at);
    return this.#match(identifier) ?? this.#numberKey();
  }

  #numberKey(): string | null {
    const digits = this.#match(number);
    return digits === null ? null : String(Number(digits.replaceAll('_', '')));
  }

  #array(depth: number, at: Position): Literal {
    this.offset++;
    const items: Literal[] = [];
    for (;;) {
      this.skipBlank();
      if (this.#take(']')) return { kind: 'array', items, at };
      items.push(this.value(depth + 1));
      this.#separator(']');
    }
  }

  #separator(close: string): void {
    this.skipBlank();
    if (this.#take(',') || this.#source[this.offset] === close) return;
    const place = this.#place(this.offset);
    const found = this.#source[this.offset];
    throw new LiteralError(
      found === undefined ? `the literal ends without its ${close}` : `${found} where a comma should be`,
      place,
    );
  }

  /** Null for a template that has to be run. */
  #string(at: Position): string | null {
    const quote = this.#source[this.offset]!;
    let text = '';
    for (let i = this.offset + 1; i < this.#source.length; i++) {
      const char = this.#source[i]!;
      if (char === quote) {
        this.offset = i + 1;
        return text;
      }
      if (quote === '`' && char === '$' && this.#source[i + 1] === '{') return null;
      if (char === '\\') {
        const { value, length } = escapeAt(this.#source, i);
        if (value === null) throw new LiteralError('an escape that JavaScript does not have', this.#place(i));
        text += value;
        i += length - 1;
      } else if (quote !== '`' && (char === '\n' || char === '\r')) break;
      else text += char;
    }
    throw new LiteralError('a string without its end', at);
  }

  /** Whether a literal is over here: nothing follows that would make it a part of something else. */
  #endsHere(): boolean {
    const char = this.#source[this.offset];
    return char === undefined || ',]});'.includes(char) || this.#afterLineBreak() || this.#typeFollows();
  }

  /** A statement may end without a semicolon where no operator follows in the next line (ECMA-262 section 12.10). */
  #afterLineBreak(): boolean {
    const before = this.#source.slice(0, this.offset).trimEnd();
    const gap = this.#source.slice(before.length, this.offset);
    return gap.includes('\n') && !'.[(`?&|+-*/%<>=!^,'.includes(this.#source[this.offset]!);
  }

  /** `{…} satisfies Options`, `{…} as const` of TypeScript change no value. */
  #typeFollows(): boolean {
    return /^(?:satisfies|as)\s/.test(this.#source.slice(this.offset, this.offset + 12));
  }

  /** Steps over what has to be run, to the comma or bracket that ends it. */
  #skipExpression(at: Position): string {
    const start = this.offset;
    let depth = 0;
    while (this.offset < this.#source.length) {
      const char = this.#source[this.offset]!;
      if (depth === 0 && ',]});'.includes(char)) break;
      if ('([{'.includes(char)) depth++;
      else if (')]}'.includes(char)) depth--;
      if (char === '"' || char === "'") this.#string(this.#place(this.offset));
      else if (char === '`') this.#skipTemplate();
      else if (char === '/' && '/*'.includes(this.#source[this.offset + 1] ?? ' ')) this.skipBlank();
      else this.offset++;
    }
    if (this.offset >= this.#source.length) throw new LiteralError('a value without its end', at);
    return this.#source.slice(start, this.offset).trim();
  }

  #skipTemplate(): void {
    for (let i = this.offset + 1; i < this.#source.length; i++) {
      if (this.#source[i] === '\\') i++;
      else if (this.#source[i] === '`') {
        this.offset = i + 1;
        return;
      }
    }
    throw new LiteralError('a template without its end', this.#place(this.offset));
  }

  skipBlank(): void {
    blank.lastIndex = this.offset;
    blank.test(this.#source);
    this.offset = blank.lastIndex;
    if (this.#source.startsWith('/*', this.offset)) {
      throw new LiteralError('a comment without its end', this.#place(this.offset));
    }
  }

  #place(offset: number): Position {
    return placeAmong(this.#lineStarts, offset);
  }

  #take(char: string): boolean {
    if (this.#source[this.offset] !== char) return false;
    this.offset++;
    return true;
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.offset;
    const found = pattern.exec(this.#source)?.[0] ?? null;
    if (found !== null) this.offset += found.length;
    return found;
  }
}

const escapes: ReadonlyMap<string, string> = new Map([
  ...Object.entries({ n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v' }),
  ...['\n', '\u2028', '\u2029'].map((lineEnd): [string, string] => [lineEnd, '']),
]);

/** The escape sequence at a backslash (ECMA-262 section 12.9.4); null for the old octal ones and for broken ones. */
function escapeAt(source: string, at: number): { value: string | null; length: number } {
  const rest = source.slice(at + 1, at + 10);
  const hex = /^(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|u\{([\da-fA-F]{1,6})\})/.exec(rest);
  const code = hex?.[1] ?? hex?.[2] ?? hex?.[3];
  if (hex !== null && code !== undefined) {
    const point = Number.parseInt(code, 16);
    return { value: point > 0x10ffff ? null : String.fromCodePoint(point), length: hex[0].length + 1 };
  }
  if (rest.startsWith('\r\n')) return { value: '', length: 3 };
  if (/^0(?!\d)/.test(rest)) return { value: '\0', length: 2 };
  const char = rest[0];
  if (char === undefined || /[\dxu]/.test(char)) return { value: null, length: 2 };
  return { value: escapes.get(char) ?? char, length: 2 };
}

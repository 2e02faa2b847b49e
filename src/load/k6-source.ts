import { DavyError, type Position } from '../lib/error.ts';
import { loadErrors } from './errors.ts';
import { type Literal, LiteralError, parseLiteral, placeIn } from './js-literal.ts';

/** Options as they stand in a file, and whether a script goes with them. */
export interface K6Source {
  options: Extract<Literal, { kind: 'object' }>;
  isScript: boolean;
}

const maxFileChars = 1024 * 1024;

/**
 * The object literal of k6's options: a JSON file (`k6 run --config`), or what follows `export const options =` in a script. Nothing is run.
 * Throws `load/bad-plan` when they are not there, stand there twice, have to be run, or are changed afterwards.
 */
export function readK6Source(content: string, file: string): K6Source {
  const bad = (sentence: string, at?: Position): DavyError =>
    new DavyError(loadErrors['bad-plan'], sentence, { position: { file, ...at } });
  if (content.length > maxFileChars) {
    throw bad(`The file has ${content.length} characters; ${maxFileChars} is the limit.`);
  }
  try {
    const isScript = !/^[\s\ufeff]*\{/.test(content);
    const code = isScript ? withoutTextAndComments(content) : '';
    const { literal, end } = parseLiteral(content, isScript ? valueOffset(content, code, bad) : 0);
    if (literal.kind === 'expression') {
      throw bad(
        `The k6 options have to be run to be known: ${literal.text.slice(0, 60)}. Give them as JSON.`,
        literal.at,
      );
    }
    if (literal.kind !== 'object') throw bad('The k6 options are no object.', literal.at);
    if (!isScript && content.slice(end).trim() !== '') {
      throw bad('Something follows the k6 options.', placeIn(content, end));
    }
    const change = isScript ? changeAfter(code, end) : null;
    if (change !== null) {
      throw bad(
        'The script changes its options afterwards, which is not run here. Give them as JSON.',
        placeIn(content, change),
      );
    }
    return { options: literal, isScript };
  } catch (error) {
    if (!(error instanceof LiteralError)) throw error;
    throw bad(`The k6 options cannot be read: ${error.message}.`, error.at);
  }
}

type Bad = (sentence: string, at?: Position) => DavyError;

/** Where the value of the exported options begins. */
function valueOffset(content: string, code: string, bad: Bad): number {
  const found = [...code.matchAll(/^[ \t]*export\s+(?:const|let|var)\s+options\b/gmu)];
  const [first, second] = found;
  if (first === undefined) {
    throw bad(
      'No k6 options were found in the file: neither JSON nor `export const options = {…}` in a line of its own.',
    );
  }
  if (second !== undefined) throw bad('The k6 options stand there twice.', placeIn(content, second.index));
  const after = first.index + first[0].length;
  // A type annotation changes no value.
  const equals = /^(?:\s*:\s*[\w.$<>[\], ]+?)?\s*=(?![=>])/u.exec(code.slice(after, after + 1_000));
  if (equals === null) throw bad('The k6 options get no value where they are exported.', placeIn(content, after));
  return after + equals[0].length;
}

/** Where the script assigns to the options, or to a part of them; null when it does not. */
function changeAfter(code: string, end: number): number | null {
  const assignment =
    /(?<![.\w$])(?<!(?:const|let|var)\s+)(?<![(,]\s*)options\s*(?:\??\.\s*[\w$]+\s*|\[[^\]]*\]\s*)*(?:[-+*/|&?]*=(?![=>])|\+\+|--)/gu;
  const call = /\bObject\s*\.\s*(?:assign|defineProperty|defineProperties)\s*\(\s*options\b|\bdelete\s+options\b/gu;
  for (const pattern of [assignment, call]) {
    pattern.lastIndex = end;
    const found = pattern.exec(code);
    if (found !== null) return found.index;
  }
  return null;
}

/**
 * The source with blanks for the insides of strings, templates, comments and regular expressions; as long as before. A slash begins a regular
 * expression where an operator or a bracket stands before it.
 */
function withoutTextAndComments(source: string): string {
  const out = source.split('');
  const blank = (from: number, to: number): void => {
    for (let i = from; i < to; i++) if (out[i] !== '\n') out[i] = ' ';
  };
  /** Steps over code up to the end, or to the bracket that ends a `${}`; returns the offset behind it. */
  const code = (from: number, inTemplate: boolean): number => {
    let depth = 0;
    let before = '';
    let i = from;
    while (i < source.length) {
      const char = source[i]!;
      const two = source.slice(i, i + 2);
      if (inTemplate && char === '}' && depth-- === 0) return i + 1;
      if (inTemplate && char === '{') depth++;
      const start = i;
      if (two === '//') i = endOf(source, /[\n\r\u2028\u2029]/gu, i, 0);
      else if (two === '/*') i = endOf(source, /\*\//gu, i + 2, 2);
      else if (char === '"' || char === "'")
        i = endOf(source, char === '"' ? /(?<!\\)(?:\\\\)*"/gu : /(?<!\\)(?:\\\\)*'/gu, i + 1);
      else if (char === '`') i = template(i + 1);
      else if (char === '/' && '([{,;=:?!&|+-*%<>~^'.includes(before)) i = endOfRegex(source, i);
      else i++;
      if (i > start + 1 || '"\'`'.includes(char)) blank(start, i);
      if (char.trim() !== '' && two !== '//' && two !== '/*') before = char;
    }
    return i;
  };
  const template = (from: number): number => {
    let i = from;
    while (i < source.length && source[i] !== '`') {
      if (source[i] === '\\') i += 2;
      else i = source.startsWith('${', i) ? code(i + 2, true) : i + 1;
    }
    return i + 1;
  };
  code(0, false);
  return out.join('');
}

/** Behind the next match of a pattern (`plus` after its start, or after its end); the end of the text without one. */
function endOf(source: string, pattern: RegExp, from: number, plus?: number): number {
  pattern.lastIndex = from;
  const found = pattern.exec(source);
  if (found === null) return source.length;
  return found.index + (plus ?? found[0].length);
}

function endOfRegex(source: string, from: number): number {
  let inClass = false;
  for (let i = from + 1; i < source.length && source[i] !== '\n'; i++) {
    const char = source[i];
    if (char === '\\') i++;
    else if (char === '[') inClass = true;
    else if (char === ']') inClass = false;
    else if (char === '/' && !inClass) return i + 1;
  }
  // No end in this line: it was a division.
  return from + 1;
}

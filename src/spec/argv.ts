import { own } from '../lib/own.ts';

/** A `run` line that cannot be split: where in the text, and why. `shell` tells a shell feature from plain bad syntax. */
export interface ArgvProblem {
  index: number;
  shell: boolean;
  sentence: string;
}

const maxArguments = 256;

/** Characters that mean something to a shell outside quotes and nothing to Davy. */
const shellCharacters: Record<string, string> = {
  '|': 'a pipe (|)',
  '&': 'a background job or && (&)',
  ';': 'a list of commands (;)',
  '<': 'a redirection (<)',
  '>': 'a redirection (>)',
  '(': 'a subshell (()',
  ')': 'a subshell ())',
  '`': 'a command substitution (`)',
  $: 'an expansion ($)',
  '*': 'a file pattern (*)',
  '?': 'a file pattern (?)',
  '[': 'a file pattern ([)',
  '\n': 'a second line',
};

/**
 * Splits a command line into program and arguments by the quoting rules of a POSIX shell (XCU 2.2): blanks separate,
 * '…' is literal, "…" is literal but for \" \\ \$ \`, and \ takes the next character literally. Nothing is expanded:
 * what a shell would expand is refused instead, so that a line never means something else here than it does there.
 */
export function splitCommand(text: string): { argv: string[] } | { problem: ArgvProblem } {
  // A block scalar (`run: |`) ends in a line break, which begins no second line.
  const line = text.replace(/\n+$/, '');
  const argv: string[] = [];
  let word: string | null = null;
  for (let i = 0; i < line.length; i += 1) {
    const char = line[i]!;
    if (char === ' ' || char === '\t') {
      if (word !== null) argv.push(word);
      word = null;
    } else if (char === "'" || char === '"') {
      const quoted = char === "'" ? readSingle(line, i) : readDouble(line, i);
      if ('problem' in quoted) return quoted;
      word = (word ?? '') + quoted.text;
      i = quoted.end;
    } else if (char === '\\') {
      const next = line[i + 1];
      if (next === undefined || next === '\n') return syntax(i, 'ends in a backslash');
      word = (word ?? '') + next;
      i += 1;
    } else {
      const feature = featureAt(line, i, word === null, argv.length === 0);
      if (feature) return { problem: { index: i, shell: true, sentence: `uses ${feature}, and no shell runs it` } };
      word = (word ?? '') + char;
    }
  }
  if (word !== null) argv.push(word);
  if (!argv[0]) return syntax(0, 'names no program');
  if (argv.length > maxArguments) return syntax(0, `has ${argv.length} arguments; ${maxArguments} is the limit`);
  return { argv };
}

function featureAt(line: string, index: number, wordStart: boolean, firstWord: boolean): string | null {
  const char = line[index]!;
  const feature = own(shellCharacters, char);
  if (feature !== undefined) return feature;
  if (!wordStart) return null;
  if (char === '~') return 'a home folder (~)';
  if (char === '#') return 'a comment (#)';
  if (firstWord && /^[A-Za-z_][A-Za-z0-9_]*=/.test(line.slice(index))) return 'an assignment (NAME=value)';
  return null;
}

type Quoted = { text: string; end: number } | { problem: ArgvProblem };

function readSingle(line: string, start: number): Quoted {
  const end = line.indexOf("'", start + 1);
  return end < 0 ? syntax(start, "has a ' without its end") : { text: line.slice(start + 1, end), end };
}

function readDouble(line: string, start: number): Quoted {
  let text = '';
  for (let i = start + 1; i < line.length; i += 1) {
    const char = line[i]!;
    if (char === '"') return { text, end: i };
    if (char === '$' || char === '`') {
      return {
        problem: { index: i, shell: true, sentence: `uses ${shellCharacters[char]} inside "…", and no shell runs it` },
      };
    }
    const next = line[i + 1];
    if (char === '\\' && next !== undefined && '"\\$`'.includes(next)) {
      text += next;
      i += 1;
    } else text += char;
  }
  return syntax(start, 'has a " without its end');
}

function syntax(index: number, sentence: string): { problem: ArgvProblem } {
  return { problem: { index, shell: false, sentence } };
}

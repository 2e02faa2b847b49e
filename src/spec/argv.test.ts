import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitCommand } from './argv.ts';

describe('splitCommand', () => {
  it.each<[string, string[]]>([
    ['node service.mjs', ['node', 'service.mjs']],
    ['  node\t a  b ', ['node', 'a', 'b']],
    [`sh -c 'exec serve --port "$PORT"'`, ['sh', '-c', 'exec serve --port "$PORT"']],
    [`a "b c" 'd e' f\\ g`, ['a', 'b c', 'd e', 'f g']],
    [`a "x\\"y\\\\z\\$w" ''`, ['a', 'x"y\\z$w', '']],
    [`a --x='1'"2"3`, ['a', '--x=123']],
    ['a b=c --d=~/e f#g', ['a', 'b=c', '--d=~/e', 'f#g']],
    [`a "\\n"`, ['a', '\\n']],
    ['node service.mjs\n', ['node', 'service.mjs']],
    ["sh -c 'a\nb\n'\n\n", ['sh', '-c', 'a\nb\n']],
  ])('%s', (line, argv) => expect(splitCommand(line)).toEqual({ argv }));

  it.each<[string, number, boolean]>([
    ['a | b', 2, true],
    ['a && b', 2, true],
    ['a;b', 1, true],
    ['a > f', 2, true],
    ['a $(b)', 2, true],
    ['a "$HOME"', 3, true],
    ['a *.js', 2, true],
    ['a ~/b', 2, true],
    ['A=1 b', 0, true],
    ['a # note', 2, true],
    ['a\nb', 1, true],
    ['a\nb\n', 1, true],
    ['a \\\n', 2, false],
    ['\n', 0, false],
    ["a 'b", 2, false],
    ['a "b', 2, false],
    ['a \\', 2, false],
    ['', 0, false],
    ["''", 0, false],
    ['a '.repeat(257), 0, false],
  ])('%j is refused', (line, index, shell) => {
    expect(splitCommand(line)).toMatchObject({ problem: { index, shell } });
  });

  it('means what a POSIX shell means by the same line, whenever it accepts the line', () => {
    const piece = fc.constantFrom(
      'a',
      'b ',
      ' ',
      "'",
      '"',
      '\\',
      '$',
      'x y',
      '|',
      '=',
      '~',
      '#',
      'é',
      '{',
      '}',
      '!',
      '-n',
      '\t',
      ']',
      '%',
      ',',
    );
    const lines = fc.array(piece, { minLength: 1, maxLength: 9 }).map((parts) => parts.join(''));
    const accepted: { line: string; argv: string[] }[] = [];
    for (const line of fc.sample(lines, { numRuns: 4000, seed: 7 })) {
      const split = splitCommand(line);
      if ('argv' in split) accepted.push({ line, argv: split.argv });
    }
    expect(accepted.length).toBeGreaterThan(200);
    // One shell for all lines: each is printed as its arguments, NUL-terminated, with an empty record (\x01) after each line.
    const script = accepted.map(({ line }) => `printf '%s\\0' ${line}; printf '\\1\\0'`).join('\n');
    const shell = spawnSync('sh', ['-c', script], { encoding: 'utf8' });
    const records = shell.stdout.split('\u0001\0').slice(0, -1);
    expect(records).toEqual(accepted.map(({ argv }) => argv.map((argument) => `${argument}\0`).join('')));
  });
});

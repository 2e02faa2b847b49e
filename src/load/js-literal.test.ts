import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { type Literal, LiteralError, parseLiteral, placeIn } from './js-literal.ts';

/** As plain data; an expression as `{ run: text }`. */
function plain(literal: Literal): unknown {
  if (literal.kind === 'value') return literal.value;
  if (literal.kind === 'expression') return { run: literal.text };
  if (literal.kind === 'array') return literal.items.map(plain);
  const entries: [string, unknown][] = [...literal.entries].map(([name, value]) => [name, plain(value)]);
  return Object.fromEntries([...entries, ...literal.unreadable.map(({ text }, i) => [`unreadable ${i}`, text])]);
}

const parse = (source: string): unknown => plain(parseLiteral(source).literal);

describe('a literal is what JavaScript says it is', () => {
  it.each<[string, unknown]>([
    ['{ a: 1, \'b\': "two", c: [true, false, null,], }', { a: 1, b: 'two', c: [true, false, null] }],
    ['{ rate:300,timeUnit:"1m" }', { rate: 300, timeUnit: '1m' }],
    ['{a:{b:{c:[]}}}', { a: { b: { c: [] } } }],
    [
      '[0, -1, 1.5, .5, 5., 1e3, 1E-2, 0x1F, 0o17, 0b101, 1_000, - 7]',
      [0, -1, 1.5, 0.5, 5, 1000, 0.01, 31, 15, 5, 1000, -7],
    ],
    ['`1m`', '1m'],
    ["'it\\'s \\u0041\\x42\\u{1F600}\\n\\\na'", "it's AB😀\na"],
    ['{ /* a: 1, */ b: 2 // c: 3\n }', { b: 2 }],
    [
      '{ "http_req_duration{status:200}": ["p(95)<500 // no comment"] }',
      { 'http_req_duration{status:200}': ['p(95)<500 // no comment'] },
    ],
    ['{ 1: "a", 0x10: "b" }', { 1: 'a', 16: 'b' }],
    ['{ a: undefined, b: Infinity }', { a: undefined, b: Number.POSITIVE_INFINITY }],
  ])('%s', (source, expected) => {
    expect(parse(source)).toEqual(expected);
  });
});

const template = `\`$${'{N}'}s\``;

describe('what would have to be run is kept as text, and nothing is run', () => {
  it.each<[string, unknown]>([
    ['{ rate: RATE }', { rate: { run: 'RATE' } }],
    ['{ rate: 5 * 60 }', { rate: { run: '5 * 60' } }],
    ['{ rate: Number(__ENV.RATE || "5"), d: "1s" }', { rate: { run: 'Number(__ENV.RATE || "5")' }, d: '1s' }],
    [`{ d: ${template} }`, { d: { run: template } }],
    ['{ d: "1" + "s" }', { d: { run: '"1" + "s"' } }],
    ['{ a: { b: 1 }.b }', { a: { run: '{ b: 1 }.b' } }],
    ['{ f: () => ({ a: [1, 2] }), b: 1 }', { f: { run: '() => ({ a: [1, 2] })' }, b: 1 }],
    ['[...stages, 2]', [{ run: '...stages' }, 2]],
    ['{ ...base, a: 1 }', { a: 1, 'unreadable 0': '...base' }],
    ['{ [name]: 1, a: 2 }', { a: 2, 'unreadable 0': '[name]: 1' }],
    ['{ stages, a: 1 }', { a: 1, 'unreadable 0': 'stages' }],
    ['{ get a() { return 1 }, b: 2 }', { b: 2, 'unreadable 0': 'get a() { return 1 }' }],
    ['{ __proto__: { a: 1 }, b: 2 }', { b: 2, 'unreadable 0': '__proto__: { a: 1 }' }],
  ])('%s', (source, expected) => {
    expect(parse(source)).toEqual(expected);
  });
});

it.each([
  ['{ a: 1', 'the literal ends without its }', { line: 1, column: 7 }],
  ['{ a: 1\n b: 2 }', 'b where a comma should be', { line: 2, column: 2 }],
  ['{ a: 1,\n a: 2 }', 'a stands twice', { line: 2, column: 2 }],
  ['{ a: "1\n" }', 'a string without its end', { line: 1, column: 6 }],
  ['{ a: "\\07" }', 'an escape', { line: 1, column: 7 }],
  ['['.repeat(60), 'more than 50 levels', { line: 1, column: 52 }],
])('%j is no literal: %s', (source, says, at) => {
  const thrown = (): unknown => {
    try {
      return parseLiteral(source);
    } catch (error) {
      return error;
    }
  };
  expect(thrown()).toBeInstanceOf(LiteralError);
  expect(thrown()).toMatchObject({ message: expect.stringContaining(says), at });
});

test('all of JSON is read as JSON.parse reads it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      // `-0` and `__proto__` are written alike in both, and mean something else.
      fc.pre(!JSON.stringify(value).includes('__proto__'));
      const text = JSON.stringify(value);
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
});

test('whatever comes in, it ends with data or with a LiteralError', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    "'",
    '`',
    `$${'{'}`,
    '\\',
    '//',
    '/*',
    '*/',
    '\n',
    'a',
    '1',
    '.',
    '-',
    '(',
    ')',
    ';',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 60 }), (parts) => {
      const source = parts.join('');
      try {
        const { end } = parseLiteral(source);
        expect(end).toBeLessThanOrEqual(source.length);
      } catch (error) {
        expect(error).toBeInstanceOf(LiteralError);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('each part knows its place', () => {
  const source = '{\n  a: 1,\n  b: [2, x],\n}';
  const { literal } = parseLiteral(source);
  expect(literal.kind).toBe('object');
  if (literal.kind !== 'object') return;
  expect(literal.entries.get('a')!.at).toEqual({ line: 2, column: 6 });
  expect(literal.entries.get('b')).toMatchObject({
    items: [{ at: { line: 3, column: 7 } }, { at: { line: 3, column: 10 } }],
  });
  expect(placeIn(source, 0)).toEqual({ line: 1, column: 1 });
});

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DavyError } from '../lib/error.ts';
import { maxSpecBytes, parseSpec } from './parse.ts';

const golden = (name: string) => readFileSync(`test/golden/spec/${name}.yaml`, 'utf8');

function refusal(text: string): DavyError {
  try {
    parseSpec(text, 'davy.yaml');
  } catch (error) {
    if (error instanceof DavyError) return error;
    throw error;
  }
  throw new Error('accepted');
}

describe('parseSpec', () => {
  it('reads the demo without a warning', () => {
    const { spec, warnings } = parseSpec(readFileSync('examples/shop/davy.yaml', 'utf8'), 'davy.yaml');
    expect(warnings).toEqual([]);
    expect(spec.services['service-b']?.versions.v3?.env.FAULT_RATE).toBe('0.05');
    expect(spec.policies.demo?.steps.map((step) => step.weightBp)).toEqual([1000, 2500, 5000, 9800]);
  });

  it('names the file and the SHA-256 of its bytes', () => {
    const { spec } = parseSpec('\ufeff'.concat(golden('valid-minimal')), 'some/davy.yaml');
    expect(spec.source.file).toBe('some/davy.yaml');
    expect(spec.source.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(spec.source.sha256).not.toBe(parseSpec(golden('valid-minimal'), 'x').spec.source.sha256);
  });

  it('reports everything at once, in the order of the file', () => {
    const error = refusal(golden('invalid-many-at-once'));
    const lines = [error, ...error.more].map(({ position }) => position?.line ?? 0);
    expect(lines.length).toBeGreaterThan(5);
    expect(lines).toEqual(lines.toSorted((a, b) => a - b));
  });

  it.each([
    ['[', 'spec/too-deep'],
    ['- ', 'spec/too-deep'],
    ['? ', 'spec/too-deep'],
    ['{a: ', 'spec/too-deep'],
    ['a: {', 'spec/too-deep'],
  ])('survives 100,000 times %j', (opening, code) => {
    expect(refusal(opening.repeat(100_000)).code).toBe(code);
  });

  it('survives a deep block map', () => {
    const text = Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('');
    expect(refusal(text).code).toBe('spec/too-deep');
  });

  it('counts what aliases stand for, not what is written', () => {
    const lines = Array.from({ length: 5000 }, (_, index) => `k${index}: *big`);
    const error = refusal(`big: &big [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n${lines.join('\n')}\n`);
    expect(error.code).toBe('spec/too-many-nodes');
    expect(error.message).toContain('50,000');
  });

  it('refuses a text that is too long before it looks at it', () => {
    const error = refusal('a'.repeat(maxSpecBytes + 1));
    expect(error.code).toBe('spec/too-large');
    expect(error.message).toContain('1,048,576');
  });

  it.each([
    ['keys without a value', (i: number) => `k${i}: ~`],
    ['unknown fields', (i: number) => `k${i}: 1`],
  ])('tells the first 50 of many %s, in the order of the file, and counts the others', (_, line) => {
    const error = refusal(Array.from({ length: 500 }, (_none, i) => line(i)).join('\n'));
    const lines = [error, ...error.more].map(({ position }) => position?.line ?? 0);
    expect(lines).toEqual(lines.toSorted((a, b) => a - b));
    expect(lines).toHaveLength(50);
    expect(lines.at(-1)).toBeLessThanOrEqual(50);
    expect(error.omitted).toBeGreaterThanOrEqual(450);
  });

  it('takes names that every object inherits for names like others', () => {
    const text = golden('valid-minimal').replaceAll('v1', 'toString');
    const { spec } = parseSpec(text, 'davy.yaml');
    const [service] = Object.values(spec.services);
    expect(service?.stable).toBe('toString');
    expect(Object.keys(service?.versions ?? {})).toEqual(['toString']);
    for (const name of ['valueOf', 'constructor', '__proto__']) {
      const error = refusal(text.replace('stable: toString', `stable: ${name}`));
      expect(error.code).toMatch(/^spec\/(unknown-version|bad-name)$/);
    }
  });

  it('leaves Object.prototype alone', () => {
    refusal(golden('invalid-yaml-proto-key'));
    refusal(golden('invalid-yaml-constructor-key'));
    expect(({} as Record<string, unknown>).listen).toBeUndefined();
    expect(({} as Record<string, unknown>).admin).toBeUndefined();
  });
});

/** `SPEC_FUZZ_RUNS=100000` searches longer. */
const runs = Number(process.env.SPEC_FUZZ_RUNS ?? 400);
const timeout = 120_000 + runs * 20;

function throwsOnlyDavyErrors(text: string): void {
  try {
    parseSpec(text, 'f');
  } catch (error) {
    if (!(error instanceof DavyError)) throw error;
    for (const each of [error, ...error.more]) {
      expect(each.message.length).toBeGreaterThan(0);
      expect(each.position?.file).toBe('f');
    }
  }
}

describe('no input throws anything but a DavyError', { timeout }, () => {
  it('any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), throwsOnlyDavyErrors), { numRuns: runs });
  });

  it('texts made of YAML', () => {
    const token = fc.constantFrom(
      ...[
        'davy: 1',
        'services:',
        'a',
        ':',
        ' ',
        '\n',
        '  ',
        '- ',
        '{',
        '}',
        '[',
        ']',
        ',',
        '&a ',
        '*a',
        '!t ',
        '|',
        '>',
        '"',
        "'",
        '#',
        '? ',
        '<<: ',
      ],
      ...[
        '%',
        '---',
        '...',
        '~',
        '1',
        '.nan',
        '10%',
        '\t',
        '\\',
        '\ud800',
        '\u0000',
        '\u2028',
        '__proto__',
        'constructor: ',
      ],
    );
    const texts = fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join(''));
    fc.assert(fc.property(texts, throwsOnlyDavyErrors), { numRuns: runs * 5 });
  });

  it('a valid spec with a piece cut out, doubled or replaced', () => {
    const whole = golden('valid-all-policy-fields');
    const at = fc.nat(whole.length);
    const filler = fc.constantFrom(
      '',
      ' ',
      '\n',
      ':',
      '{',
      '}',
      '"',
      '0',
      '-1',
      '1e999',
      'none',
      '%',
      '[]',
      '*x',
      '&x ',
      'é',
    );
    fc.assert(
      fc.property(at, fc.nat(30), filler, (start, length, filling) => {
        throwsOnlyDavyErrors(whole.slice(0, start) + filling + whole.slice(start + length));
      }),
      { numRuns: runs * 3 },
    );
  });

  it('a valid spec with any value anywhere', () => {
    const lines = golden('valid-all-policy-fields').split('\n');
    const values = fc.oneof(
      fc.json({ maxDepth: 3 }),
      fc.constantFrom('[{}]', '{ a: [1, { b: c }] }', '.inf', '0x10', '-0', '""', '1e400'),
    );
    fc.assert(
      fc.property(fc.nat(lines.length - 1), values, (index, value) => {
        const changed = lines.with(index, (lines[index] ?? '').replace(/: .*$/, `: ${value}`));
        throwsOnlyDavyErrors(changed.join('\n'));
      }),
      { numRuns: runs * 2 },
    );
  });
});

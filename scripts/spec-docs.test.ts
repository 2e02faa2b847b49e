import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { parseSpec } from '../src/spec/parse.ts';
import { freshDocs } from './spec-docs.ts';

const docs = readFileSync('docs/spec.md', 'utf8');

it('docs/spec.md says what the schema says (node scripts/spec-docs.ts --write)', () => {
  expect(docs).toBe(freshDocs(docs));
});

it('the example in docs/spec.md is valid, without a warning', () => {
  const example = /```yaml\n(davy: 1\n[\s\S]*?)```/.exec(docs)?.[1] ?? '';
  expect(parseSpec(example, 'docs/spec.md').warnings).toEqual([]);
});

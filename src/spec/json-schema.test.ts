import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { unitKeyword } from './fields.ts';
import { specJsonSchema } from './json-schema.ts';

interface Node {
  description?: string;
  examples?: unknown[];
  default?: unknown;
  properties?: Record<string, Node>;
  additionalProperties?: Node | boolean;
  propertyNames?: Node;
  items?: Node;
  anyOf?: Node[];
}

const schema = specJsonSchema();
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
ajv.addKeyword(unitKeyword);
const validate = ajv.compile(schema);

/** Every field: a property, an entry of a list, a name in a map. */
function fields(node: Node, path: string): { path: string; node: Node }[] {
  const below = (child: Node, name: string) => fields(child, `${path}.${name}`);
  const named = Object.entries(node.properties ?? {}).flatMap(([name, child]) => [
    { path: `${path}.${name}`, node: child },
    ...below(child, name),
  ]);
  const entries = typeof node.additionalProperties === 'object' ? below(node.additionalProperties, '*') : [];
  const names = node.propertyNames ? [{ path: `${path}.(name)`, node: node.propertyNames }] : [];
  const items = node.items ? below(node.items, '[]') : [];
  return [...named, ...names, ...entries, ...items, ...(node.anyOf ?? []).flatMap((option) => fields(option, path))];
}

describe('the JSON Schema', () => {
  const all = fields(schema as Node, '');

  it('describes every field, with an example that the field accepts', () => {
    expect(all.length).toBeGreaterThan(70);
    for (const { path, node } of all) {
      expect(node.description, path).toMatch(/\S/);
      expect(node.examples, path).toHaveLength(1);
      expect(ajv.validate(node, node.examples?.[0]), path).toBe(true);
    }
  });

  it('has defaults that the fields accept', () => {
    const withDefault = all.filter(({ node }) => node.default !== undefined);
    expect(withDefault.length).toBeGreaterThan(35);
    for (const { path, node } of withDefault) expect(ajv.validate(node, node.default), path).toBe(true);
  });

  const folder = 'test/golden/spec';
  const read = (name: string): unknown => parse(readFileSync(`${folder}/${name}`, 'utf8'));
  const cases = readdirSync(folder).filter((name) => name.endsWith('.yaml') && !name.includes('-yaml-'));

  it.each(cases.filter((name) => name.startsWith('valid-')))('accepts %s', (name) => {
    expect(validate(read(name)), JSON.stringify(validate.errors)).toBe(true);
  });

  /** What a schema can say: structure, types, words, patterns. Ranges of quantities, `run` lines and references it cannot. */
  const structural = /^# error spec\/(unknown-field|missing-field|wrong-type|wrong-unit|bad-name) /;
  it.each(cases.filter((name) => structural.test(readFileSync(`${folder}/${name}`, 'utf8'))))('refuses %s', (name) => {
    expect(validate(read(name))).toBe(false);
  });
});

import { expect, test } from 'vitest';
import { DavyError } from '../lib/error.ts';
import { parseSpec } from './parse.ts';

const base = `davy: 1
system: t
services:
  a: { listen: 8081, stable: v1, release: p, versions: { v1: { run: node a.mjs, replicas: 2 } } }
policies:
  p: { steps: [{ weight: 100%, hold: 1s }] }
`;
const KEY = 'audit.example/davy+1b2c3d4e+BAcDOtx8tqTEbVKRDRfL9ZjBCZJqHXRTIvPgMVWCtNJt';

test('witnesses and timestamps are read with their defaults', () => {
  const text = `${base}witnesses:\n  - { url: "http://127.0.0.1:7090", key: "${KEY}" }\ntimestamps: { authority: "http://127.0.0.1:3180/" }\n`;
  expect(parseSpec(text, 'davy.yaml').spec.anchors).toEqual({
    witnesses: [{ url: 'http://127.0.0.1:7090', vkey: KEY }],
    timestamps: { url: 'http://127.0.0.1:3180/', everyMs: 600_000 },
  });
  expect(parseSpec(base, 'davy.yaml').spec.anchors).toBeUndefined();
});

test.each([
  ['a key that is none', `[{ url: "http://127.0.0.1:1", key: "abc" }]`, 'verifier key'],
  ['an address with a password', `[{ url: "http://u:p@127.0.0.1:1", key: "${KEY}" }]`, 'without a user'],
  ['an unknown field', `[{ url: "http://127.0.0.1:1", key: "${KEY}", kye: 1 }]`, 'kye'],
])('%s is refused with its place', (_, witnesses, says) => {
  let thrown: unknown;
  try {
    parseSpec(`${base}witnesses: ${witnesses}\n`, 'davy.yaml');
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(DavyError);
  const all = [thrown as DavyError, ...(thrown as DavyError).more];
  expect(all.some((error) => error.message.includes(says) && error.position?.line === 7)).toBe(true);
});

import { createVirtualFileSystem } from 'typescript/unstable/fs';
import { describe, expect, it } from 'vitest';
import { unguardedLookups } from './lookups.ts';

const CONFIG = JSON.stringify({
  compilerOptions: { target: 'es2024', module: 'nodenext', strict: true, noEmit: true, types: [] },
  include: ['src'],
});
const DECLARED = `
declare const record: Record<string, number>;
declare const name: string;
declare const kind: 'a' | 'b';
declare const byKind: { a: number; b: number };
declare const list: number[];
declare const index: number;
declare const anything: any;
`;

/** The places that the rule finds in a file of these lines. */
function found(code: string, file = 'src/room/file.ts'): string[] {
  const files = { '/repo/tsconfig.json': CONFIG, [`/repo/${file}`]: `${DECLARED}${code}` };
  return unguardedLookups('/repo', ['tsconfig.json'], createVirtualFileSystem(files));
}

describe('the rule about look-ups by names from outside', () => {
  it.each([
    ['a read', 'export const x = record[name];', 'record[name]'],
    [
      'a read behind ?.',
      'declare const maybe: typeof record | undefined; export const x = maybe?.[name];',
      'maybe?.[name]',
    ],
    ['a write', 'record[name] = 1;', 'record[name]'],
    ['a cast key', 'export const x = byKind[name as keyof typeof byKind];', 'byKind[name as keyof typeof byKind]'],
    ['a key of any type', 'export const x = record[anything];', 'record[anything]'],
    [
      'a key that may be a known one or any other',
      'export const f = (k: string | symbol) => anything[k];',
      'anything[k]',
    ],
    ['a key that is put together', `export const x = record[\`a\${name}\`];`, `record[\`a\${name}\`]`],
    ['a generic key', 'export const f = <K extends string>(r: Record<K, 1>, k: K) => r[k];', 'r[k]'],
    ['the question whether a name is there', 'export const x = name in record;', 'name in record'],
    ['a pattern', 'export const { [name]: x } = record;', '[name]: x'],
    ['a write in a loop over its own keys', 'for (const k of Object.keys(record)) record[k] = 1;', 'record[k]'],
    [
      'a read in a loop over the keys of another',
      'for (const k of Object.keys(record)) byKind[k as "a"];',
      'byKind[k as "a"]',
    ],
  ])('finds %s', (_what, code, place) => {
    const problems = found(code);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^src\/room\/file\.ts:\d+: /);
    expect(problems[0]).toContain(`: ${place} looks up`);
  });

  it.each([
    ['names of the source', 'export const x = record.a; export const y = record["b"];'],
    ['keys that the checker knows to be one of some', 'export const x = byKind[kind];'],
    ['a generic key that is one of some', 'export const f = <K extends "a" | "b">(k: K) => byKind[k];'],
    ['indices', 'export const x = list[index];'],
    ['a Map', 'declare const map: Map<string, number>; export const x = map.get(name);'],
    ['a new record', 'export const x = { [name]: 1 };'],
    ['a read in a loop over its own keys', 'for (const k of Object.keys(record)) console.log(record[k]);'],
  ])('lets %s pass', (_what, code) => {
    expect(found(code)).toEqual([]);
  });

  it('holds for the product and the page, not for tests', () => {
    const code = 'export const x = record[name];';
    expect(found(code, 'src/room/file.test.ts')).toEqual([]);
    expect(found(code, 'src/room/world.fixture.ts')).toEqual([]);
    expect(found(code, 'src/lib/own.ts')).toEqual([]);
  });
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { own, setOwn } from './own.ts';

const anyName = fc.oneof(fc.string(), fc.constantFrom(...Object.getOwnPropertyNames(Object.prototype)));

it('finds what was set under a name, whatever the name, and nothing else', () => {
  fc.assert(
    fc.property(fc.uniqueArray(anyName), anyName, (names, other) => {
      const record: Record<string, number> = {};
      for (const [i, name] of names.entries()) setOwn(record, name, i);
      for (const [i, name] of names.entries()) expect(own(record, name)).toBe(i);
      expect(own(record, other)).toBe(names.includes(other) ? names.indexOf(other) : undefined);
      expect(Object.getPrototypeOf(record)).toBe(Object.prototype);
      expect(Object.keys(record).toSorted()).toEqual(names.toSorted());
    }),
  );
});

it('finds nothing where there is no record', () => {
  expect(own(undefined, 'constructor')).toBeUndefined();
});

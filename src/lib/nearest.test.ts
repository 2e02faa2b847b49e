import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { editDistance, nearestName } from './nearest.ts';

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['abc', '', 3],
    ['services', 'sevices', 1],
    ['timeout', 'tiemout', 1],
    ['ca', 'abc', 3],
    ['kitten', 'sitting', 3],
  ])('%s → %s is %d', (a, b, distance) => expect(editDistance(a, b)).toBe(distance));

  it('is symmetric, zero only for equal words, and at most the longer length', () => {
    const word = fc.string({ maxLength: 12 });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const distance = editDistance(a, b);
        expect(editDistance(b, a)).toBe(distance);
        expect(distance === 0).toBe(a === b);
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe('nearestName', () => {
  const known = ['maxTries', 'perTry', 'budget'];
  it('finds the likely one and nothing else', () => {
    expect(nearestName('maxtrys', known)).toBe('maxTries');
    expect(nearestName('bugdet', known)).toBe('budget');
    expect(nearestName('colour', known)).toBeNull();
    expect(nearestName('v2', ['v1'])).toBe('v1');
    expect(nearestName('x', [])).toBeNull();
    expect(nearestName('b'.repeat(1000), known)).toBeNull();
  });
});

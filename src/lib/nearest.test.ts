import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { didYouMean, editDistance, listed, nearestName, noSuch } from './nearest.ts';

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

describe('an unknown name', () => {
  it('is told with what was most likely meant', () => {
    expect(didYouMean('bugdet', ['budget'])).toBe('; did you mean budget?');
    expect(didYouMean('colour', ['budget'])).toBe('');
    expect(noSuch('version', 'v9', ['v1', 'w2'], 'of shop')).toBe(
      'There is no version "v9" of shop; did you mean v1? Known: v1, w2.',
    );
    expect(noSuch('service', 'x', [])).toBe('There is no service "x". Known: none.');
  });

  it('is told in a sentence of bounded length', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => `shop-${i}`);
    expect(listed(many)).toMatch(/^… shop-4980, .*, shop-4999 \(5000 in all\)$/);
    expect(noSuch('release', 'x'.repeat(10_000), many).length).toBeLessThan(500);
  });

  it('is compared with the last thousand names', () => {
    const many = ['budget', ...Array.from({ length: 1_000 }, (_, i) => `${i}`.padStart(40, '-'))];
    expect(nearestName('bugdet', many)).toBeNull();
    expect(nearestName('bugdet', many.slice(0, 1_000))).toBe('budget');
  });
});

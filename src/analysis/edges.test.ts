import { describe, expect, it } from 'vitest';
import { chooseEdges, limitEdge } from './edges.ts';

const EDGES = [5, 10, 25, 50, 100, 250, 500, 1000];

describe('edges under test', () => {
  it('span what stable exceeds often enough, and the first one it hardly ever does', () => {
    const found = chooseEdges(EDGES, 10_000, [9900, 9500, 8000, 5000, 2000, 300, 12, 2]);
    expect(found.tested.map((j) => EDGES[j])).toEqual([50, 100, 250, 500]);
    expect(found.gates.map((j) => EDGES[j])).toEqual([50, 250]);
    expect(found.shift).toBe(0);
  });

  it('are at least the lowest one when stable is faster than all', () => {
    const found = chooseEdges(EDGES, 10_000, new Array(8).fill(0));
    expect(found.tested).toEqual([0]);
    expect(found.gates).toEqual([0]);
  });

  it('hold the tail to a higher edge when stable lies right at one: its median there says nothing of the slowest', () => {
    const found = chooseEdges(EDGES, 10_000, [10_000, 5000, 0, 0, 0, 0, 0, 0]);
    expect(found.gates.map((j) => EDGES[j])).toEqual([10, 25]);
    expect(chooseEdges([5, 10], 1000, [1000, 500]).gates).toEqual([1]);
  });

  it('give no gate when all lie below the median: that proves nothing', () => {
    expect(chooseEdges([5, 10], 1000, [1000, 1000]).gates).toEqual([]);
  });

  it('are compared shifted when they grow by a fine constant factor', () => {
    const factor = 2 ** (1 / 8);
    const fine = Array.from({ length: 40 }, (_, j) => 10 * factor ** j);
    const over = fine.map((_, j) => Math.round(100_000 * 0.85 ** j));
    const found = chooseEdges(fine, 100_000, over);
    expect(found.shift).toBe(1);
    expect(found.tested.length).toBeLessThanOrEqual(12);
  });
});

describe('the edge of an absolute limit', () => {
  it.each([
    [250, { index: 5, kind: 'exact' }],
    [300, { index: 6, kind: 'above' }],
    [5000, { index: 7, kind: 'below' }],
  ])('%d ms', (underMs, wanted) => {
    expect(limitEdge(EDGES, underMs)).toEqual(wanted);
  });

  it('is none without edges', () => {
    expect(limitEdge([], 100)).toBeNull();
  });
});

import { describe, expect, it } from 'vitest';
import { simulate } from './run.ts';

/** `npm run sim -- --seeds 10000` is the long search; a failing seed replays exactly with `--seed N`. */
const SEEDS = Number(process.env.SIM_SEEDS ?? 300);
const GROUP = 50;

describe('the controller in a simulated world', () => {
  const groups = Array.from({ length: Math.ceil(SEEDS / GROUP) }, (_, index) => 1 + index * GROUP);
  it.each(groups)(`keeps its invariants from seed %i for ${GROUP} seeds`, async (first) => {
    const ends = new Set<string>();
    for (let seed = first; seed < first + GROUP; seed++) {
      for (const outcome of (await simulate(seed)).outcomes) ends.add(outcome.split(':')[1] ?? '');
    }
    // A group in which nothing ended would check nothing.
    expect([...ends]).toEqual(expect.arrayContaining(['completed', 'rolled-back']));
  });

  it('replays a seed exactly', async () => {
    expect(await simulate(7)).toEqual(await simulate(7));
  });
});

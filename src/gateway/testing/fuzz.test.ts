import { describe, expect, it } from 'vitest';
import { Dice, fuzzParser, mutated, WireFuzz } from './fuzz.ts';

/** A fixed seed keeps the tests the same from run to run; `npm run fuzz:gateway` goes elsewhere. */
const SEED = Number(process.env.FUZZ_SEED ?? 20260101);

describe('fuzzing, briefly', () => {
  it('the parser', () => {
    const dice = new Dice(SEED);
    for (let i = 0; i < 60_000; i++) fuzzParser(dice);
  });

  it('the gateway on the wire', async () => {
    const fuzz = await WireFuzz.start();
    const dice = new Dice(SEED);
    for (let i = 0; i < 1_500; i++) await fuzz.turn(dice);
    await fuzz.close();
  });

  it('makes the same inputs from the same seed', () => {
    const one = new Dice(5);
    const two = new Dice(5);
    for (let i = 0; i < 100; i++) expect(mutated(one).equals(mutated(two))).toBe(true);
  });
});

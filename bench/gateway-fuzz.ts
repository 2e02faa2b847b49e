/** `npm run fuzz:gateway [-- --minutes 60] [--seed N]`: both fuzzers in turn until the time is over; stops at the first finding. */
import { parseArgs } from 'node:util';
import { Dice, fuzzParser, WireFuzz } from '../src/gateway/testing/fuzz.ts';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' }, seed: { type: 'string' } } });
const firstSeed = Number(values.seed ?? Date.now() % 2 ** 32);
const endMs = Date.now() + Number(values.minutes) * 60_000;
const fuzz = await WireFuzz.start();
let inputs = 0;
let seed = firstSeed;
for (; Date.now() < endMs; seed++) {
  const dice = new Dice(seed);
  try {
    for (let i = 0; i < 5_000; i++) fuzzParser(dice);
    for (let i = 0; i < 200; i++) await fuzz.turn(dice);
    for (let i = 0; i < 100; i++) await fuzz.answerTurn(dice);
  } catch (error) {
    console.error(`seed ${seed}: ${(error as Error).message}`);
    process.exit(1);
  }
  inputs += 5_300;
}
await fuzz.close();
console.log(`${inputs} inputs, seeds ${firstSeed} to ${seed - 1}, nothing found`);

/**
 * `npm run fuzz:gateway [-- --minutes 60] [--seed N]`: both fuzzers in turn until the time is over; stops at the first finding.
 * `--against nginx`: valid messages through the gateway and through nginx instead, compared.
 */
import { parseArgs } from 'node:util';
import { Dice, fuzzParser, WireFuzz } from '../src/gateway/testing/fuzz.ts';
import { findProgram } from '../test/engines.ts';
import { Differential } from '../test/gateway/differential.ts';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '60' }, seed: { type: 'string' }, against: { type: 'string' } },
});
if (values.against !== undefined && values.against !== 'nginx') {
  console.error(`--against ${values.against} is unknown; there is: nginx`);
  process.exit(2);
}
const firstSeed = Number(values.seed ?? Date.now() % 2 ** 32);
const endMs = Date.now() + Number(values.minutes) * 60_000;
const { turn, close } = values.against === 'nginx' ? await compared() : await mutated();
let inputs = 0;
let seed = firstSeed;
for (; Date.now() < endMs; seed++) {
  try {
    inputs += await turn(new Dice(seed));
  } catch (error) {
    console.error(`seed ${seed}: ${(error as Error).message}`);
    process.exit(1);
  }
}
await close();
console.log(`${inputs} inputs, seeds ${firstSeed} to ${seed - 1}, nothing found`);

interface Fuzzer {
  /** Tries the inputs of one seed; resolves with their number. */
  turn(dice: Dice): Promise<number>;
  close(): Promise<void>;
}

async function mutated(): Promise<Fuzzer> {
  const fuzz = await WireFuzz.start();
  return {
    turn: async (dice) => {
      for (let i = 0; i < 5_000; i++) fuzzParser(dice);
      for (let i = 0; i < 200; i++) await fuzz.turn(dice);
      for (let i = 0; i < 100; i++) await fuzz.answerTurn(dice);
      return 5_300;
    },
    close: () => fuzz.close(),
  };
}

async function compared(): Promise<Fuzzer> {
  const program = findProgram('nginx');
  if (program === null) throw new Error('nginx is missing.');
  const differential = await Differential.start(program);
  return {
    turn: async (dice) => {
      await differential.turn(dice);
      return 1;
    },
    close: () => differential.close(),
  };
}

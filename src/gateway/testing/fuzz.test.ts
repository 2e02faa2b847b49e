import { describe, expect, it } from 'vitest';
import { answerProblem, Dice, fuzzParser, mutated, WireFuzz } from './fuzz.ts';

/** A fixed seed keeps the tests the same from run to run; `npm run fuzz:gateway` goes elsewhere. */
const SEED = Number(process.env.FUZZ_SEED ?? 20260101);

/** Where everything must run, both fuzzers together go on for a minute: half of it each, with seeds that follow from the first. */
const FUZZ_SECONDS = Number(process.env.FUZZ_SECONDS ?? (process.env.CI === 'true' ? 60 : 0));
const TIMEOUT_MS = 60_000 + FUZZ_SECONDS * 1000;

function* furtherSeeds(): Generator<number> {
  const endMs = Date.now() + (FUZZ_SECONDS / 2) * 1000;
  for (let seed = SEED + 1; Date.now() < endMs; seed++) yield seed;
}

describe('fuzzing, briefly', () => {
  it('the parser', { timeout: TIMEOUT_MS }, () => {
    const dice = new Dice(SEED);
    for (let i = 0; i < 60_000; i++) fuzzParser(dice);
    for (const further of furtherSeeds()) {
      const other = new Dice(further);
      for (let i = 0; i < 2_000; i++) fuzzParser(other);
    }
  });

  it('the gateway on the wire', { timeout: TIMEOUT_MS }, async () => {
    const fuzz = await WireFuzz.start();
    const dice = new Dice(SEED);
    for (let i = 0; i < 1_500; i++) await fuzz.turn(dice);
    for (let i = 0; i < 600; i++) await fuzz.answerTurn(dice);
    for (const further of furtherSeeds()) {
      const other = new Dice(further);
      for (let i = 0; i < 100; i++) await fuzz.turn(other);
      for (let i = 0; i < 50; i++) await fuzz.answerTurn(other);
    }
    await fuzz.close();
  });

  it.each([
    ['an answer', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', false, null],
    ['a cut one', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no', false, null],
    ['nothing', '', false, null],
    ['an interim answer ahead', 'HTTP/1.1 103 E\r\n\r\nHTTP/1.1 204 N\r\n\r\n', false, null],
    ['a second answer', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', false, 'octets behind the answer'],
    ['chunks and more', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx', false, 'octets behind the last chunk'],
    ['two framings', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n', false, 'framed in two ways'],
    ['a body for HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx', true, 'octets where no body may be'],
    ['half a head', 'HTTP/1.1 200 OK\r\n', false, 'a head without an end'],
    ['a bare LF', 'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n', false, 'a bare CR, LF or NUL in the head'],
  ])('the reader of answers tells %s', (_what, text, headOnly, problem) => {
    expect(answerProblem(text, headOnly)).toBe(problem);
  }); // biome-ignore format: a table

  it('makes the same inputs from the same seed', () => {
    const one = new Dice(5);
    const two = new Dice(5);
    for (let i = 0; i < 100; i++) expect(mutated(one).equals(mutated(two))).toBe(true);
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Dice } from '../../src/gateway/testing/fuzz.ts';
import { findProgram, mustHave } from '../engines.ts';
import { Differential, differences } from './differential.ts';
import { readAnswer, readRequest } from './wire.ts';

const program = findProgram('nginx');
const SEED = Number(process.env.FUZZ_SEED ?? 1);

/** `npm run fuzz:gateway -- --against nginx --minutes 60` goes on from here. */
describe.skipIf(!mustHave(program, 'nginx'))('the gateway beside nginx, on valid messages', () => {
  let differential: Differential;
  beforeAll(async () => {
    differential = await Differential.start(program as string);
  });
  afterAll(() => differential.close());

  it('gives the service and the client the same, but for the differences that are known', {
    timeout: 180_000,
  }, async () => {
    for (let seed = SEED; seed < SEED + 10000; seed++) await differential.turn(new Dice(seed));
  });

  it.each(differences.map((one) => [`${one.fields.join(', ')} of the ${one.in}`, one] as const))(
    'sees the difference in %s when the table does not name it',
    async (_what, left) => {
      const others = differences.filter((one) => one !== left);
      const found = async () => {
        for (let seed = SEED; seed < SEED + 100; seed++) await differential.turn(new Dice(seed), others);
      };
      await expect(found()).rejects.toThrow(/gateway …/);
    },
  );
});

describe('the reader that both are read with', () => {
  it('takes bodies by length, by chunks and by close apart', () => {
    const chunked =
      'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nT: u\r\n\r\nrest';
    expect(readRequest(chunked)).toMatchObject({ message: { body: 'abc', trailers: [['t', 'u']] }, rest: 'rest' });
    expect(readRequest('GET / HTTP/1.1\r\nA:  b \r\n\r\nx')).toMatchObject({
      message: { fields: [['a', 'b']] },
      rest: 'x',
    });
    const close = 'HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\n\r\nabc';
    expect(readAnswer(close, 'GET', false)).toBeNull();
    expect(readAnswer(close, 'GET', true)).toMatchObject({ message: { body: 'abc' }, rest: '' });
    expect(readAnswer('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', 'HEAD', true)?.message.body).toBe('');
  });

  it.each([
    ['two framings', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'],
    ['a broken chunk', 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n'],
    ['a field without a colon', 'GET / HTTP/1.1\r\nA\r\n\r\n'],
  ])('throws on %s', (_what, octets) => {
    expect(() => readRequest(octets)).toThrow();
  });
});

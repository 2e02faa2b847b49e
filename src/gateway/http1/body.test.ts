import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../limits.ts';
import { BodyReader, BY_CHUNKS, BY_CLOSE, BY_LENGTH, forwardableTrailers, NO_BODY } from './body.ts';

function read(
  kind: number,
  length: number,
  text: string,
  splits: number[] = [],
): { data: string; done: boolean; failed: boolean; used: number; trailers: string } {
  const reader = new BodyReader();
  reader.begin(kind, length);
  const octets = Buffer.from(text, 'latin1');
  let data = '';
  let used = 0;
  const cuts = [...new Set([...splits.map((n) => n % (octets.length + 1)), octets.length])].sort((a, b) => a - b);
  let from = 0;
  for (const cut of cuts) {
    const next = reader.feed(octets, from, cut, {
      bodyData: (buf, start, end) => (data += buf.toString('latin1', start, end)),
    });
    used = next;
    if (next < cut || reader.failed) break;
    from = cut;
  }
  return {
    data,
    done: reader.done,
    failed: reader.failed,
    used,
    trailers: Buffer.from(reader.trailers).toString('latin1'),
  };
}

/** RFC 9112 section 7.1. */
const chunked: [string, string, string | null][] = [
  ['one chunk', '3\r\nabc\r\n0\r\n\r\n', 'abc'],
  ['two chunks', '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n', 'abc'],
  ['no data', '0\r\n\r\n', ''],
  ['several zeros', '000\r\n\r\n', ''],
  ['upper and lower hex', 'A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n', '01234567890123456789'],
  ['an extension is dropped (7.1.1)', '3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n', 'abc'],
  ['white space before the size', ' 3\r\nabc\r\n0\r\n\r\n', null],
  ['white space after the size', '3 \r\nabc\r\n0\r\n\r\n', null],
  ['a sign', '+3\r\nabc\r\n0\r\n\r\n', null],
  ['0x', '0x3\r\nabc\r\n0\r\n\r\n', null],
  ['no size', '\r\nabc\r\n0\r\n\r\n', null],
  ['no size, an extension', ';a\r\nabc\r\n0\r\n\r\n', null],
  ['bare LF after the size', '3\nabc\r\n0\r\n\r\n', null],
  ['bare CR after the size', '3\rabc\r\n0\r\n\r\n', null],
  ['bare LF in an extension', '3;a\nabc\r\n0\r\n\r\n', null],
  ['NUL in an extension', '3;\0\r\nabc\r\n0\r\n\r\n', null],
  ['a chunk that is longer than it said', '3\r\nabcd\r\n0\r\n\r\n', null],
  ['bare LF after the data', '3\r\nabc\n0\r\n\r\n', null],
  ['a size beyond 2^53', 'fffffffffffffff\r\n', null],
  ['leading zeros beyond 13 digits', '00000000000003\r\nabc\r\n0\r\n\r\n', null],
  ['an extension without end', `3;${'a'.repeat(limits.chunkLineBytes + 1)}\r\n`, null],
  ['trailers without end', `0\r\n${`A: ${'b'.repeat(200)}\r\n`.repeat(50)}`, null],
  ['a folded trailer', '0\r\nA: b\r\n c\r\n\r\n', null],
  ['a trailer without a colon', '0\r\nab\r\n\r\n', null],
  ['bare LF at the end', '0\r\n\n', null],
];

describe('chunked bodies', () => {
  it.each(chunked)('%s', (_what, text, expected) => {
    const result = read(BY_CHUNKS, 0, `${text}NEXT`);
    if (expected === null) {
      expect(result.failed).toBe(true);
    } else {
      expect(result).toMatchObject({ failed: false, done: true, data: expected, used: text.length });
    }
  });

  it('decodes what an encoder made, however it is split, and stops at its end', () => {
    const body = fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 10 });
    fc.assert(
      fc.property(body, fc.array(fc.nat(), { maxLength: 20 }), (pieces, splits) => {
        const latin = pieces.map((piece) => Buffer.from(piece, 'utf8').toString('latin1'));
        const text = `${latin.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}0\r\nX: y\r\n\r\n`;
        const result = read(BY_CHUNKS, 0, `${text}GET / HTTP/1.1`, splits.concat([text.length]));
        expect(result).toMatchObject({ failed: false, done: true, data: latin.join(''), trailers: 'X: y\r\n' });
        expect(result.used).toBe(text.length);
      }),
    );
  });

  it('forwards only harmless trailers (RFC 9110 section 6.5.1)', () => {
    const octets = [
      ...Buffer.from('X-Sum: 1\r\ncontent-length: 9\r\nHost: a\r\nTransfer-Encoding: chunked\r\ngrpc-status: 0\r\n'),
    ];
    expect(forwardableTrailers(octets).toString()).toBe('X-Sum: 1\r\ngrpc-status: 0\r\n');
  });
});

describe('bodies by length and by close', () => {
  it.each([
    [NO_BODY, 0, 'NEXT', '', true],
    [BY_LENGTH, 0, 'NEXT', '', true],
    [BY_LENGTH, 3, 'abcNEXT', 'abc', true],
    [BY_LENGTH, 9, 'abc', 'abc', false],
    [BY_CLOSE, 0, 'abc', 'abc', false],
  ])('kind %i, length %i', (kind, length, text, data, done) => {
    expect(read(kind, length, text)).toMatchObject({ data, done, failed: false });
  });
});

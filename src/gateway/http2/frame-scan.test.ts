import { describe, expect, it } from 'vitest';
import { Dice } from '../testing/fuzz.ts';
import {
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  frame,
  GOAWAY,
  HEADERS,
  PREFACE,
} from '../testing/h2-frames.ts';
import { FrameScan } from './frame-scan.ts';

const PADDED = 0x8;
const PRIORITY = 0x20;
const GOOD = block([['x-a', 'b']]);
const BAD = block([['x-a', 'b\n']]);

/** Where octets may be given on, in pieces that end at `cuts`. */
function feed(scan: FrameScan, octets: Buffer, cuts: number[] = []): number {
  let at = 0;
  for (const cut of [...cuts, octets.length]) {
    // Each piece lies in memory that is used again afterwards.
    const piece = Buffer.from(octets.subarray(at, cut));
    const until = scan.feed(piece, 0, piece.length);
    piece.fill(0);
    if (until < piece.length) return at + until;
    at = cut;
  }
  return at;
}

const CONVERSATION = Buffer.concat([
  frame(4, 0, 0),
  frame(HEADERS, END_HEADERS | END_STREAM, 1, GOOD),
  frame(HEADERS, END_HEADERS | END_STREAM, 3, BAD),
  frame(HEADERS, END_HEADERS | PADDED, 5, Buffer.concat([Buffer.from([3]), GOOD, Buffer.alloc(3)])),
  frame(
    HEADERS,
    END_HEADERS | PADDED | PRIORITY,
    7,
    Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 9]), BAD, Buffer.alloc(2)]),
  ),
  frame(DATA, 0, 5, Buffer.alloc(300)),
  frame(HEADERS, 0, 9, BAD.subarray(0, 3)),
  frame(CONTINUATION, 0, 9, BAD.subarray(3, 4)),
  frame(CONTINUATION, END_HEADERS, 9, BAD.subarray(4)),
  frame(DATA, END_STREAM | PADDED, 5, Buffer.from([1, 65, 0])),
  frame(HEADERS, END_HEADERS, 11, GOOD),
  frame(HEADERS, END_HEADERS | END_STREAM, 11, BAD),
  frame(HEADERS, END_HEADERS, 13, GOOD),
  frame(DATA, END_STREAM, 13),
]);

function knownOf(scan: FrameScan): string[] {
  return [1, 3, 5, 7, 9, 11, 13].map((stream) => `${stream} ${scan.isMalformed(stream)} ${scan.hasEnded(stream)}`);
}

const KNOWN = [
  '1 false true',
  '3 true true',
  '5 false true',
  '7 true false',
  '9 true false',
  '11 true true',
  '13 false true',
];

describe('frames', () => {
  it.each(['client', 'server'] as const)(
    'of a %s: what is known of a stream does not depend on where its octets are cut',
    (from) => {
      const octets = from === 'client' ? Buffer.concat([PREFACE, CONVERSATION]) : CONVERSATION;
      const dice = new Dice(11);
      const everywhere = Array.from({ length: octets.length - 1 }, (_, i) => i + 1);
      const some = () => everywhere.filter(() => dice.below(9) === 0);
      for (const cuts of [[], everywhere, ...Array.from({ length: 200 }, some)]) {
        const scan = new FrameScan(from);
        expect(feed(scan, octets, cuts)).toBe(octets.length);
        expect(knownOf(scan)).toEqual(KNOWN);
      }
    },
  );

  it('of a stream that is closed are forgotten', () => {
    const scan = new FrameScan('server');
    feed(scan, CONVERSATION);
    for (const stream of [3, 11]) scan.forget(stream);
    expect([scan.isMalformed(3), scan.hasEnded(3), scan.isMalformed(11)]).toEqual([false, false, false]);
    expect(scan.isMalformed(9)).toBe(true);
  });

  it('that cannot be read leave nothing that counts as well-formed or whole', () => {
    for (const broken of [
      frame(HEADERS, END_HEADERS, 15, Buffer.from([0x80])),
      frame(HEADERS, END_HEADERS, 15, Buffer.alloc(16_385, 0x82)),
      Buffer.concat(
        Array.from({ length: 11 }, (_, i) =>
          frame(i === 0 ? HEADERS : CONTINUATION, 0, 15, Buffer.alloc(16_000, 0x82)),
        ),
      ),
    ]) {
      const scan = new FrameScan('server');
      const octets = Buffer.concat([CONVERSATION, broken, frame(HEADERS, END_HEADERS | END_STREAM, 17, GOOD)]);
      expect(feed(scan, octets)).toBe(octets.length);
      expect([1, 17].map((stream) => [scan.isMalformed(stream), scan.hasEnded(stream)])).toEqual([
        [true, false],
        [true, false],
      ]);
    }
  });

  it('of streams that nobody opens are known up to a number, and then none is', () => {
    const scan = new FrameScan('client');
    feed(scan, PREFACE);
    for (let stream = 1; stream < 8_190; stream += 2) feed(scan, frame(DATA, END_STREAM, stream));
    expect(scan.hasEnded(1)).toBe(true);
    for (let stream = 8_191; stream < 8_200; stream += 2) feed(scan, frame(DATA, END_STREAM, stream));
    expect([scan.hasEnded(1), scan.isMalformed(1)]).toEqual([false, true]);
  });

  it('of a GOAWAY name the last stream that is worked on; the lowest counts', () => {
    const scan = new FrameScan('server');
    expect(scan.lastStream).toBe(Number.POSITIVE_INFINITY);
    for (const [last, code] of [
      [0x7f, 0],
      [9, 0],
      [11, 0],
      [7, 2],
    ] as const)
      feed(scan, frame(GOAWAY, 0, 0, Buffer.from([0x80, 0, 0, last, 0, 0, 0, code])));
    expect(scan.lastStream).toBe(7);
  });

  it('up to a GOAWAY for an error are given on, and what follows is not', () => {
    const goaway = (code: number) => frame(GOAWAY, 0, 0, Buffer.from([0, 0, 0, 1, 0, 0, 0, code]));
    const start = CONVERSATION.length;
    for (const cuts of [[], [start + 4], [start + 9], [start + 13], [start + 16]]) {
      const octets = Buffer.concat([CONVERSATION, goaway(11), frame(DATA, END_STREAM, 7)]);
      const until = feed(new FrameScan('server'), octets, cuts);
      // The beginning of the frame may have gone on before its code was there.
      expect(until).toBe(cuts.length === 0 ? start : cuts[0]);
      const graceful = Buffer.concat([CONVERSATION, goaway(0), frame(DATA, END_STREAM, 7)]);
      expect(feed(new FrameScan('server'), graceful, cuts)).toBe(graceful.length);
    }
  });
});

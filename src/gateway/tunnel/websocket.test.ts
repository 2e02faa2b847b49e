import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameTracker } from './websocket.ts';

interface Frame {
  length: number;
  masked: boolean;
  /** The smallest form that holds the length, or a longer one. */
  form: 7 | 16 | 64;
}

function octetsOf({ length, masked, form }: Frame): Buffer {
  const flag = masked ? 0x80 : 0;
  const shortest = length < 126 ? 7 : length < 65_536 ? 16 : 64;
  const wide = Math.max(shortest, form);
  const extended = Buffer.alloc(wide === 7 ? 0 : wide / 8);
  if (wide === 16) extended.writeUInt16BE(length);
  if (wide === 64) extended.writeBigUInt64BE(BigInt(length));
  const head = [0x82, flag | (wide === 7 ? length : wide === 16 ? 126 : 127)];
  return Buffer.concat([Buffer.from(head), extended, Buffer.alloc(masked ? 4 : 0, 7), Buffer.alloc(length, 0x88)]);
}

const frames = fc.array(
  fc.record({
    length: fc.oneof(fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536), fc.integer({ min: 0, max: 3_000 })),
    masked: fc.boolean(),
    form: fc.constantFrom(7 as const, 16 as const, 64 as const),
  }),
  { minLength: 1, maxLength: 6 },
);

it('knows where frames end, however the octets are cut (RFC 6455 5.2)', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1 }), (list, cuts) => {
      const pieces = list.map(octetsOf);
      const all = Buffer.concat(pieces);
      let end = 0;
      const ends = new Set(pieces.map((piece) => (end += piece.length)));
      const tracker = new FrameTracker();
      expect(tracker.atBoundary).toBe(true);
      for (let at = 0, i = 0; at < all.length; i++) {
        const to = Math.min(all.length, at + cuts[i % cuts.length]!);
        const found = tracker.feed(all, at, to);
        const last = [...ends].filter((one) => one > at && one <= to).at(-1) ?? -1;
        expect(found).toBe(last);
        expect(tracker.atBoundary).toBe(last === to);
        at = to;
      }
    }),
  );
});

it('waits for ever for the end of a frame whose length nobody sends', () => {
  const tracker = new FrameTracker();
  const head = Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
  expect(tracker.feed(head, 0, head.length)).toBe(-1);
  expect(tracker.feed(Buffer.alloc(100_000), 0, 100_000)).toBe(-1);
  expect(tracker.atBoundary).toBe(false);
});

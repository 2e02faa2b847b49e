import { describe, expect, it } from 'vitest';
import { FieldScan, UnreadableBlock } from './field-scan.ts';
import { decodedBound, decodeHuffman } from './huffman.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

function decode(code: string): string {
  const octets = hex(code);
  const to = Buffer.alloc(decodedBound(octets.length));
  const length = decodeHuffman(octets, 0, octets.length, to);
  return length < 0 ? 'EOS' : to.toString('latin1', 0, length);
}

describe('the Huffman code of HPACK', () => {
  // RFC 7541 appendix C.4 and C.6.
  it.each([
    ['f1e3 c2e5 f23a 6ba0 ab90 f4ff', 'www.example.com'],
    ['a8eb 1064 9cbf', 'no-cache'],
    ['25a8 49e9 5ba9 7d7f', 'custom-key'],
    ['25a8 49e9 5bb8 e8b4 bf', 'custom-value'],
    ['6402', '302'],
    ['aec3 771a 4b', 'private'],
    ['d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3', 'https://www.example.com'],
    ['640e ff', '307'],
    ['9bd9 ab', 'gzip'],
    [
      '94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
  ])('%s is %s', (code, text) => {
    expect(decode(code)).toBe(text);
  });

  it.each([
    ['ffff ffff ff', 'EOS'],
    // The longest codes: 30 bits each for line feed, carriage return and 0x16.
    ['ffff fff3', '\n'],
    ['ffff fff7', '\r'],
    ['ffff fffb', '\x16'],
  ])('%s is %j', (code, text) => {
    expect(decode(code)).toBe(text);
  });
});

const verdicts = (...blocks: Buffer[]) => {
  const scan = new FieldScan();
  return blocks.map((block) => scan.isWellFormed(block));
};

describe('a header block', () => {
  it('of the examples of RFC 7541 is well-formed, over three blocks that share a table', () => {
    // Appendix C.3, C.4, C.5 and C.6 (there the table has 256 octets: set at the start of the block).
    const series = [
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
      [
        '3fe1 01 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
    ];
    for (const blocks of series) expect(verdicts(...blocks.map(hex))).toEqual([true, true, true]);
  });

  it.each([
    ['a name in upper case', '1003 582d 61 01 62'],
    ['an empty name', '1000 01 62'],
    ['a colon in a name', '1003 783a 61 01 62'],
    ['a blank in a name', '1003 7820 61 01 62'],
    ['a line feed in a value', '1003 782d 61 03 620a 63'],
    ['a carriage return at the end of a value', '1003 782d 61 02 620d'],
    ['NUL in a value', '1003 782d 61 03 6200 63'],
    ['DEL in a value', '1003 782d 61 02 627f'],
    ['a blank before a value', '1003 782d 61 02 2062'],
    ['a blank after a value', '1003 782d 61 02 6220'],
    ['a tab after a value', '1003 782d 61 02 6209'],
    ['a value of blanks', '1003 782d 61 01 20'],
    ['a line feed in Huffman code', '1003 782d 61 84 ffff fff3'],
    ['a line feed behind a name of the static table', '0f2b 02 610a'],
  ])('with %s is malformed', (_what, block) => {
    expect(verdicts(hex(block))).toEqual([false]);
  });

  it.each([
    ['a pseudo-field, which is left to node:http2', '1005 3a70 6174 68 02 200a'],
    ['an empty value', '1003 782d 61 00'],
    ['obs-text', '1003 782d 61 02 80ff'],
    ['a tab inside of a value', '1003 782d 61 03 6209 63'],
    ['nothing', ''],
  ])('with %s is well-formed', (_what, block) => {
    expect(verdicts(hex(block))).toEqual([true]);
  });

  it('that names a malformed field by its index is malformed too, for as long as the table holds it', () => {
    const bad = hex('4003 782d 61 02 620a');
    const byIndex = hex('be');
    const nameOnly = hex('7e 01 62');
    expect(verdicts(bad, byIndex, nameOnly, byIndex)).toEqual([false, false, true, true]);
    expect(() => verdicts(bad, hex('20 be'))).toThrow(UnreadableBlock);
  });

  it('drops the oldest fields of a full table, and all of them for one that is too large', () => {
    const field = (name: string, length: number) =>
      Buffer.concat([
        hex('4001'),
        Buffer.from(name),
        hex('7f'),
        Buffer.from([((length - 127) & 127) | 128, (length - 127) >>> 7]),
        Buffer.alloc(length, 'v'),
      ]);
    // 1033 octets each: the table holds three.
    const scan = new FieldScan();
    for (const name of ['a', 'b', 'c', 'd']) expect(scan.isWellFormed(field(name, 1000))).toBe(true);
    expect(scan.isWellFormed(hex('be bf c0'))).toBe(true);
    expect(() => scan.isWellFormed(hex('c1'))).toThrow(UnreadableBlock);
    expect(scan.isWellFormed(field('e', 4064))).toBe(true);
    expect(() => scan.isWellFormed(hex('be'))).toThrow(UnreadableBlock);
  });

  it.each([
    ['an index without an entry', 'c0'],
    ['index 0', '80'],
    ['a number without an end', 'ff ffff ffff ff'],
    ['a number cut off', '7f'],
    ['a string cut off', '1003 782d'],
    ['a table larger than announced', '3fe2 1f'],
    ['EOS in Huffman code', '1003 782d 61 84 ffff ffff'],
  ])('with %s cannot be read', (_what, block) => {
    expect(() => verdicts(hex(block))).toThrow(UnreadableBlock);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatBytes,
  formatCount,
  formatDurationMs,
  formatPoints,
  formatRatePerSecond,
  formatShare,
  formatWeightBp,
  parseDurationMs,
  parsePoints,
  parseRatePerSecond,
  parseShare,
  unitPatterns,
} from './units.ts';

describe('durations', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['30d', 2_592_000_000],
    ['0s', 0],
    ['1.5s', 1500],
    ['1.1s', 1100],
    ['0.5h', 1_800_000],
    ['1h30m', 5_400_000],
    ['1d2h3m4s5ms', 93_784_005],
  ])('%s is %d ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms));

  it.each([
    '',
    '5',
    's',
    '5 s',
    '5S',
    '-5s',
    '+5s',
    '5s ',
    '1e3s',
    '30m1h',
    '1h1h',
    '1.5h30m',
    '0.1ms',
    '5min',
    '٣s',
    '1s\n',
  ])('%j is none', (text) => expect(parseDurationMs(text)).toBeNull());

  it('reads back what it writes', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 1e11 }), (ms) => parseDurationMs(formatDurationMs(ms)) === ms));
  });

  it('is shown from large to small', () => {
    expect(formatDurationMs(5_400_000)).toBe('1h30m');
    expect(formatDurationMs(86_400_250)).toBe('1d250ms');
    expect(formatDurationMs(0)).toBe('0s');
    expect(formatDurationMs(1499.6)).toBe('1s500ms');
  });
});

describe('shares and points', () => {
  it.each([
    ['10%', 0.1],
    ['0.1%', 0.001],
    ['99.99%', 0.9999],
    ['100%', 1],
    ['0.00%', 0],
    ['110%', 1.1],
  ])('%s is %d', (text, share) => expect(parseShare(text)).toBe(share));

  it.each(['10', '0.1', '10 %', '%', '.5%', '1,5%', '-1%', '1e1%', '10pp', '10%%'])('%j is no share', (text) =>
    expect(parseShare(text)).toBeNull(),
  );

  it('keeps percent and percentage points apart', () => {
    expect(parsePoints('0.01pp')).toBe(0.0001);
    expect(parsePoints('0.01%')).toBeNull();
    expect(parseShare('0.01pp')).toBeNull();
  });

  it('reads back what it writes, to the last decimal', () => {
    const hundredThousandths = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(hundredThousandths, (count) => {
        const text = `${count / 100_000}`;
        fc.pre(/^\d+(\.\d+)?$/.test(text));
        const share = parseShare(`${text}%`)!;
        return formatShare(share) === `${text}%` && parsePoints(formatPoints(share)) === share;
      }),
    );
  });

  it('rounds for people only when asked', () => {
    expect(formatShare(0.123456)).toBe('12.3456%');
    expect(formatShare(0.123456, 1)).toBe('12.3%');
    expect(formatShare(0.1, 2)).toBe('10%');
    expect(formatShare(1e-12)).toBe('0%');
    expect(formatWeightBp(1250)).toBe('12.5%');
  });
});

describe('rates and counts', () => {
  it('are read per second, minute or hour', () => {
    expect(parseRatePerSecond('1000/s')).toBe(1000);
    expect(parseRatePerSecond('90/m')).toBe(1.5);
    expect(parseRatePerSecond('36/h')).toBe(0.01);
    for (const text of ['1000', '1000/d', '/s', '-1/s', '10 /s', '1/S']) expect(parseRatePerSecond(text)).toBeNull();
  });

  it('reads back whole rates', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e9 - 1 }),
        (rate) => parseRatePerSecond(formatRatePerSecond(rate)) === rate,
      ),
    );
  });

  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [9_940, '9.9 kB'],
    [9_960, '10 kB'],
    [999_600, '1.0 MB'],
    [64_000_000, '64 MB'],
    [5e15, '5000 TB'],
  ])('writes %i bytes as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('groups digits the same on every machine', () => {
    expect(formatCount(1_234_567.4)).toBe('1,234,567');
    expect(formatCount(999)).toBe('999');
  });
});

describe('JSON Schema patterns', () => {
  const parsers = { duration: parseDurationMs, share: parseShare, points: parsePoints, rate: parseRatePerSecond };

  it('accept whatever the parsers accept', () => {
    const piece = fc.constantFrom('1', '0', '30', '.', '5', 'ms', 's', 'm', 'h', 'd', '%', 'pp', '/', ' ', '-');
    const texts = fc.array(piece, { maxLength: 8 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(texts, fc.constantFrom(...(Object.keys(parsers) as (keyof typeof parsers)[])), (text, unit) => {
        return parsers[unit](text) === null || new RegExp(unitPatterns[unit], 'u').test(text);
      }),
      { numRuns: 20_000 },
    );
  });
});

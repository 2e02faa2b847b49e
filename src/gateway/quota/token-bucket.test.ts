import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

describe('the token bucket on a simulated clock', () => {
  it('L02: admits the rate to 1 % after the burst, however the requests come, and no burst for a clock that stood still or went back', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5000 }),
        fc.integer({ min: 1, max: 2000 }),
        fc.array(fc.nat(30), { minLength: 200, maxLength: 600 }),
        (rate, burst, gaps) => {
          const bucket = new TokenBucket(rate, burst, 0);
          let nowMs = 0;
          let admitted = 0;
          for (const gap of gaps) {
            nowMs += gap;
            for (let i = 0; i < 20; i++) if (bucket.take(nowMs)) admitted++;
            if (bucket.take(nowMs - 1000)) admitted++;
          }
          expect(admitted).toBeLessThanOrEqual(burst + (rate * nowMs) / 1000 + 1);
        },
      ),
    );
  });

  it('L02: admits 1000/s within 1 % at ten times the rate', () => {
    const bucket = new TokenBucket(1000, 200, 0);
    let admitted = 0;
    for (let ms = 0.1; ms <= 10_000; ms += 0.1) if (bucket.take(ms)) admitted++;
    expect(Math.abs(admitted - 10_200)).toBeLessThanOrEqual(100);
  });

  it('says when there will be a token', () => {
    const bucket = new TokenBucket(0.5, 1, 0);
    expect(bucket.take(0)).toBe(true);
    expect(bucket.take(0)).toBe(false);
    expect(bucket.view(0)).toEqual({ perSecond: 0.5, burst: 1, remaining: 0, secondsToToken: 2, secondsToFull: 2 });
    expect(bucket.msToToken(0)).toBe(2000);
    expect(bucket.take(2000)).toBe(true);
  });
});

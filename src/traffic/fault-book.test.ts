import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FaultBook, type FaultTarget, ruleProblem } from './fault-book.ts';
import type { FaultRule } from './faults.ts';

const target: FaultTarget = { service: 'b', version: 'v1', instance: 'b/v1/1', zone: 'z1' };
const anyone = { service: 'b', version: null, instances: null, zone: null, share: 1 };

function delay(more: Partial<FaultRule> = {}): FaultRule {
  return { id: 'x-1', action: { kind: 'delay', delayMs: 100 }, scope: anyone, ttlMs: 1_000, ...more };
}

function bookWith(rule: FaultRule, random = () => 0): FaultBook {
  const book = new FaultBook(random);
  expect(book.inject([rule], 0)).toBeNull();
  return book;
}

test('a fault ends at its time, by nothing but the time', () => {
  const book = bookWith(delay());
  expect(book.hit(target, 999)?.rule.id).toBe('x-1');
  expect(book.hit(target, 1_000)).toBeNull();
});

test('repeating a rule prolongs it and keeps its counts', () => {
  const book = bookWith(delay());
  const hit = book.hit(target, 500);
  book.inject([delay()], 900);
  // It was on its way when the lease was renewed.
  hit?.added(101);
  expect(book.hit(target, 1_899)).not.toBeNull();
  expect(book.hit(target, 1_900)).toBeNull();
  expect(book.reports(1_900)).toEqual([
    {
      ...{ id: 'x-1', expiresInMs: 0, inForceMs: 1_900, begun: 1 },
      ...{ matched: 2, injected: 2, delayed: 1, addedMsSum: 101, addedMsMax: 101, held: 0 },
    },
  ]);
});

test('the time in force is that of its stretches, whatever happens between them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom('inject', 'clear', 'look'), fc.nat(3_000)), { maxLength: 40 }),
      (acts) => {
        const book = new FaultBook(() => 0);
        let nowMs = 0;
        let endsMs = 0;
        let expected = { inForceMs: 0, begun: 0 };
        for (const [act, passMs] of acts) {
          expected = { ...expected, inForceMs: expected.inForceMs + Math.min(passMs, Math.max(0, endsMs - nowMs)) };
          nowMs += passMs;
          if (act === 'clear') {
            book.clear('all', nowMs);
            endsMs = Math.min(endsMs, nowMs);
          }
          if (act === 'inject') {
            book.inject([delay()], nowMs);
            if (nowMs >= endsMs) expected = { ...expected, begun: expected.begun + 1 };
            endsMs = nowMs + delay().ttlMs;
          }
          const [report] = book.reports(nowMs);
          if (report) expect(report).toMatchObject(expected);
          // A report is forgotten a minute after the end, and its time with it.
          else expected = { inForceMs: 0, begun: 0 };
        }
      },
    ),
  );
});

test('clear ends it at once; the report stays for a minute', () => {
  const book = bookWith(delay());
  book.clear(['other'], 10);
  expect(book.hit(target, 10)).not.toBeNull();
  book.clear('all', 20);
  expect(book.hit(target, 20)).toBeNull();
  expect(book.reports(60_020)).toHaveLength(1);
  expect(book.reports(60_021)).toHaveLength(0);
});

test('what it holds is let go when it is cleared, and counted as held until then', () => {
  const book = bookWith(delay());
  const hit = book.hit(target, 1)!;
  const other = book.hit(target, 1)!;
  let released = 0;
  const request = {
    release: () => {
      released++;
      hit.letGo(request);
    },
  };
  hit.hold(request);
  other.hold({ release: () => released++ });
  expect(book.reports(2)[0]!.held).toBe(2);
  book.clear(['other'], 3);
  expect(released).toBe(0);
  book.clear(['x-1'], 4);
  expect([released, book.reports(5)[0]!.held, hit.endsMs]).toEqual([2, 1, 4]);
});

test('a hit knows of a prolongation', () => {
  const book = bookWith(delay());
  const hit = book.hit(target, 1)!;
  book.inject([delay()], 900);
  expect(hit.endsMs).toBe(1_900);
});

test.each([
  ['another service', { ...anyone, service: 'a' }, false],
  ['another version', { ...anyone, version: 'v2' }, false],
  ['its version', { ...anyone, version: 'v1' }, true],
  ['another instance', { ...anyone, instances: ['b/v1/2'] }, false],
  ['its instance', { ...anyone, instances: ['b/v1/2', 'b/v1/1'] }, true],
  ['another zone', { ...anyone, zone: 'z2' }, false],
  ['its zone', { ...anyone, zone: 'z1' }, true],
])('scope: %s', (_, scope, hits) => {
  expect(bookWith(delay({ scope })).hit(target, 1) !== null).toBe(hits);
});

test('the share decides by the random number', () => {
  const rolls = [0.1, 0.3, 0.29];
  const book = bookWith(delay({ scope: { ...anyone, share: 0.3 } }), () => rolls.shift()!);
  expect([1, 2, 3].map((at) => book.hit(target, at) !== null)).toEqual([true, false, true]);
  expect(book.reports(4)[0]).toMatchObject({ matched: 3, injected: 2 });
});

test.each<[string, Partial<FaultRule>]>([
  ['no time', { ttlMs: 0 }],
  ['more than an hour', { ttlMs: 3_600_001 }],
  ['a share of nothing', { scope: { ...anyone, share: 0 } }],
  ['more than all', { scope: { ...anyone, share: 1.1 } }],
  ['a delay beyond a minute', { action: { kind: 'delay', delayMs: 60_001 } }],
  ['a status that is none', { action: { kind: 'abort', status: 600 } }],
  ['an id that breaks a header', { id: 'x\r\ny: z' }],
  ['no id', { id: '' }],
  ['no bandwidth', { action: { kind: 'bandwidth', bytesPerSecond: 0 } }],
])('refused: %s; the rules before stay', (_, change) => {
  const book = bookWith(delay());
  const wrong = delay({ id: 'x-2', ...change });
  expect(ruleProblem(wrong)).not.toBeNull();
  expect(book.inject([delay({ id: 'x-3' }), wrong], 1)).toBe(ruleProblem(wrong));
  expect(book.reports(2).map((report) => report.id)).toEqual(['x-1']);
});

test('the hundred-and-first fault is refused', () => {
  const book = new FaultBook(() => 0);
  const many = Array.from({ length: 101 }, (_, i) => delay({ id: `x-${i}` }));
  expect(book.inject(many.slice(0, 100), 0)).toBeNull();
  expect(book.inject(many.slice(100), 0)).toContain('100');
});

test('whatever is injected, prolonged and cleared: nothing hits after the last lease', () => {
  const step = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    atMs: fc.nat({ max: 1_000 }),
    ttlMs: fc.integer({ min: 1, max: 500 }),
    clear: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const book = new FaultBook(() => 0);
      let lastEndMs = 0;
      for (const { id, atMs, ttlMs, clear } of steps.sort((a, b) => a.atMs - b.atMs)) {
        if (clear) book.clear([id], atMs);
        else book.inject([delay({ id, ttlMs })], atMs);
        lastEndMs = Math.max(lastEndMs, atMs + ttlMs);
      }
      expect(book.hit(target, lastEndMs)).toBeNull();
      expect(book.reports(lastEndMs).every((report) => report.expiresInMs === 0)).toBe(true);
    }),
  );
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { limits } from '../limits.ts';
import { Descriptors } from './descriptors.ts';

/** A process that may have `limit` descriptors and has `open`, on a clock that is moved by hand. */
function processWith(limit: number | null, open: number) {
  const system = { open, said: [] as string[] };
  const descriptors = new Descriptors({ limit: () => limit, open: () => (limit === null ? null : system.open) });
  descriptors.log = (sentence) => system.said.push(sentence);
  return { system, descriptors };
}

describe('descriptors', () => {
  it('that nobody knows the number of are never refused', () => {
    const { descriptors } = processWith(null, 0);
    for (let i = 0; i < 100_000; i++) expect(descriptors.mayAccept(0) && descriptors.mayConnect(0)).toBe(true);
    expect(descriptors.warning(0)).toBeNull();
    expect(descriptors.report(0)).toEqual({ limit: null, open: null, refused: 0 });
  });

  it('are left for the admin address, and a quarter of the rest for instances, whatever comes and goes', () => {
    const step = fc.record({
      act: fc.constantFrom('accept', 'accept', 'connect', 'close', 'other', 'other closes'),
      gapMs: fc.constantFrom(0, 0, 1, 30),
    });
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 400 }), fc.array(step, { maxLength: 2_000 }), (limit, steps) => {
        const { system, descriptors } = processWith(limit, 25);
        let nowMs = 0;
        let ours = 0;
        let others = 0;
        for (const { act, gapMs } of steps) {
          nowMs += gapMs;
          if (act === 'other' && others < 10) {
            others++;
            system.open++;
          } else if (act === 'other closes' && others > 0) {
            others--;
            system.open--;
          } else if (act === 'close' && ours > 0) {
            ours--;
            system.open--;
            descriptors.closed();
          } else if (act === 'accept' && descriptors.mayAccept(nowMs)) {
            ours++;
            system.open++;
            expect(system.open).toBeLessThanOrEqual((limit - limits.reservedDescriptors) * 0.75 + 10);
          } else if (act === 'connect' && descriptors.mayConnect(nowMs)) {
            ours++;
            system.open++;
          }
          // Those of others are known within a second, and there are ten of them at most.
          expect(system.open).toBeLessThanOrEqual(limit - limits.reservedDescriptors + 10);
        }
      }),
    );
  });

  it('say so when they are short, once in ten seconds in the log and for a minute in the state', () => {
    const { system, descriptors } = processWith(132, 100);
    expect(descriptors.mayConnect(0)).toBe(false);
    for (let ms = 0; ms < 25_000; ms += 10) descriptors.mayConnect(ms);
    expect(system.said).toHaveLength(3);
    expect(system.said[0]).toBe(
      'The gateway has 100 of its 132 descriptors open and refuses connections (1 so far); raise the limit (ulimit -n) or add gateways.',
    );
    expect(descriptors.warning(84_000)).toContain('2501 so far');
    expect(descriptors.warning(85_000)).toBeNull();
    expect(descriptors.report(90_000)).toEqual({ limit: 132, open: 100, refused: 2501 });
  });

  it('are granted again as soon as some are free', () => {
    const { system, descriptors } = processWith(132, 100);
    expect(descriptors.mayConnect(0)).toBe(false);
    system.open = 90;
    expect(descriptors.mayConnect(21)).toBe(true);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Look } from './judge.ts';
import { judge } from './tep-judge.ts';
import { Drive, EDGES, policyOf, row } from './tick.fixture.ts';

const VERDICTS = ['rollback', 'advance', 'continue', 'hold', 'pod-fault', 'inconclusive'];
const setup = { policy: policyOf(), stable: 'v1', canary: 'v2' };

const behaviour = fc.record({
  requests: fc.integer({ min: 0, max: 2000 }),
  errors: fc.constantFrom(0, 0.001, 0.01, 0.2, 1),
  slower: fc.constantFrom(1, 1.3, 5),
});
const arm = fc.array(behaviour, { maxLength: 4 });
const goodTick = fc.record({ canary: arm, stable: arm });
const nonsense = fc.oneof(
  fc.constant(null),
  fc.anything(),
  fc.record({ t: fc.double(), dtMs: fc.double(), edges: fc.array(fc.double()), versions: fc.object() }),
);

function tickOf(
  t: number,
  { canary, stable }: { canary: { requests: number; errors: number; slower: number }[]; stable: typeof canary },
) {
  const rows = (list: typeof canary) => list.map((how, i) => row(String(i), how));
  return { t, dtMs: 1000, edges: EDGES, versions: { v1: rows(stable), v2: rows(canary) } };
}

describe('the judge, whatever it is fed', () => {
  it('never throws, keeps plain JSON state of a few kilobytes, and never advances on nonsense', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(goodTick, nonsense), { maxLength: 40 }), (inputs) => {
        let state = judge.start(setup);
        let t = 0;
        for (const input of inputs) {
          t += 1;
          const good = typeof input === 'object' && input !== null && 'canary' in input && Array.isArray(input.canary);
          const tick = good ? tickOf(t, input as never) : input;
          const found = judge.look(setup, state, { dtMs: 1000, tick, stepIndex: 0, weightBp: 1000 } as Look);
          expect(VERDICTS).toContain(found.judgement.verdict);
          if (!good) expect(found.judgement.verdict).not.toBe('advance');
          expect(Number.isFinite(found.judgement.evidence.total)).toBe(true);
          if (good) expect(found.judgement.reason).not.toMatch(/NaN|undefined|Infinity/);
          const text = JSON.stringify(found.state);
          expect(JSON.parse(text)).toEqual(found.state);
          expect(text).not.toContain('null,null');
          expect(text.length).toBeLessThan(40_000);
          state = found.state;
        }
      }),
      { numRuns: 60 },
    );
  });

  it('is deterministic and leaves its input alone', () => {
    fc.assert(
      fc.property(fc.array(goodTick, { minLength: 1, maxLength: 20 }), (inputs) => {
        const run = (): string => {
          let state = judge.start(setup);
          const out: unknown[] = [];
          inputs.forEach((input, i) => {
            const before = JSON.stringify(state);
            const found = judge.look(setup, state, {
              dtMs: 1000,
              tick: tickOf(i + 1, input),
              stepIndex: 0,
              weightBp: 1000,
            });
            expect(JSON.stringify(state)).toBe(before);
            state = found.state;
            out.push(found.judgement);
          });
          return JSON.stringify([state, out]);
        };
        expect(run()).toBe(run());
      }),
      { numRuns: 40 },
    );
  });

  it('leaves the evidence as it was when there is no data', () => {
    fc.assert(
      fc.property(
        fc.array(goodTick, { minLength: 1, maxLength: 10 }),
        fc.integer({ min: 1, max: 50 }),
        (inputs, looks) => {
          const drive = new Drive();
          for (const { canary, stable } of inputs) drive.look(drive.tick(canary, stable));
          // An instance at fault takes its evidence along after the look that names it.
          fc.pre(drive.last!.verdict !== 'pod-fault');
          const before = drive.last!.evidence.metrics.map((metric) => metric.evidence);
          for (let i = 0; i < looks; i++) drive.look(null);
          const after = drive.last!.evidence.metrics.map((metric) => metric.evidence);
          after.forEach((value, i) => {
            expect(Math.abs(value - before[i]!)).toBeLessThanOrEqual(1e-9 * Math.max(1, before[i]!));
          });
        },
      ),
      { numRuns: 60 },
    );
  });
});

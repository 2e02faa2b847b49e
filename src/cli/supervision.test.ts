import { describe, expect, it } from 'vitest';
import { afterEnd, type Ended, nothingSupervised, type Supervised } from './supervision.ts';

const refused = (text: string): Ended => ({ code: 2, wasReady: false, failure: { known: true, text } });
const crashed: Ended = { code: null, wasReady: false, failure: null };
const wasUp: Supervised = { everReady: true, failedStarts: 0, told: null };

describe('a first start where nothing runs', () => {
  it('ends with the refusal, its text and its exit code', () => {
    expect(afterEnd(nothingSupervised, refused('no\n'), false)).toEqual({ kind: 'end', code: 2, says: 'no\n' });
  });

  it('is tried again after a crash, and given up after five', () => {
    let state = nothingSupervised;
    const kinds = Array.from({ length: 5 }, () => {
      const next = afterEnd(state, crashed, false);
      if (next.kind === 'again') state = next.state;
      return next.kind;
    });
    expect(kinds).toEqual(['again', 'again', 'again', 'again', 'give-up']);
  });
});

describe.each([
  ['after a controller was ready', wasUp, false],
  ['where a gateway runs from before', nothingSupervised, true],
])('%s', (_name, begin, somethingRuns) => {
  it.each([
    ['a refusal', refused('no\n')],
    ['a crash', crashed],
  ])('%s is tried again for ever, ever more rarely, and said once', (_what, ended) => {
    let state = begin;
    const waits: number[] = [];
    const said: (string | null)[] = [];
    for (let tries = 0; tries < 1_000; tries++) {
      const next = afterEnd(state, ended, somethingRuns);
      if (next.kind !== 'again') throw new Error(next.kind);
      state = next.state;
      waits.push(next.waitMs);
      said.push(next.says);
    }
    expect(waits.slice(0, 8)).toEqual([200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    expect(Math.max(...waits)).toBe(10_000);
    expect(said.filter((text) => text !== null)).toHaveLength(1);
    expect(said[0]).toContain('what runs goes on without a controller');
  });

  it('another reason is said again, and so is the first one when it comes back', () => {
    let state = begin;
    const said: (string | null)[] = [];
    for (const text of ['a\n', 'a\n', 'b\n', 'b\n', 'a\n']) {
      const next = afterEnd(state, refused(text), somethingRuns);
      if (next.kind === 'again') state = next.state;
      said.push(next.kind === 'again' ? next.says : next.kind);
    }
    expect(said.map((text) => text?.slice(0, 1) ?? null)).toEqual(['a', null, 'b', null, 'a']);
  });
});

it('a controller that was ready and died is started again at once, and the count begins anew', () => {
  const before = { everReady: true, failedStarts: 7, told: 'x' };
  const next = afterEnd(before, { code: null, wasReady: true, failure: null }, true);
  expect(next).toMatchObject({ kind: 'again', waitMs: 200, state: { failedStarts: 0, told: null } });
});

it('a controller that ended in good order is not started again', () => {
  expect(afterEnd(wasUp, { code: 0, wasReady: true, failure: null }, true)).toEqual({
    kind: 'end',
    code: 0,
    says: null,
  });
});

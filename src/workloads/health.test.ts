import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ProbeResult } from '../probe/probe.ts';
import type { HealthSpec } from '../spec/model.ts';
import { startAgainMs } from './back-off.ts';
import {
  afterProbe,
  freshHealth,
  type HealthState,
  hangProblem,
  isHung,
  isLate,
  nextProbeMs,
  shownProblem,
  unaskedHealth,
} from './health.ts';

const health: HealthSpec = {
  probe: { kind: 'http1', path: '/q/health' },
  everyMs: 2_000,
  timeoutMs: 1_000,
  unhealthyAfter: 3,
  healthyAfter: 2,
  startWithinMs: 30_000,
};
const good: ProbeResult = { ok: true };
const bad: ProbeResult = { ok: false, answered: true, says: 'answered 503' };
const silent: ProbeResult = { ok: false, answered: false, says: 'nothing listens' };

function run(results: ProbeResult[], from: HealthState = freshHealth(0), everyMs = 1_000): HealthState {
  return results.reduce((state, result, i) => afterProbe(state, result, health, (i + 1) * everyMs), from);
}

test.each<[string, ProbeResult[], HealthState['phase']]>([
  ['nothing asked yet', [], 'starting'],
  ['first good answer', [good], 'ready'],
  ['bad answers while it starts', [bad, silent, bad, bad], 'starting'],
  ['late but good', [silent, silent, good], 'ready'],
  ['two bad answers in a row are not enough', [good, bad, bad], 'ready'],
  ['three are', [good, bad, silent, bad], 'unhealthy'],
  ['a good one in between starts the count afresh', [good, bad, bad, good, bad, bad], 'ready'],
  ['one good answer does not bring it back', [good, bad, bad, bad, good], 'unhealthy'],
  ['two do', [good, bad, bad, bad, good, good], 'ready'],
  ['two that are not in a row do not', [good, bad, bad, bad, good, bad, good], 'unhealthy'],
])('%s', (_, results, phase) => {
  expect(run(results).phase).toBe(phase);
});

test('while it starts, an answer that is not good is told at once, and silence once it has lasted a moment', () => {
  expect(run([bad], freshHealth(0), 100)).toMatchObject({ phase: 'starting', problem: 'answered 503' });
  expect(run([silent], freshHealth(0), 1_999).problem).toBeNull();
  expect(run([silent], freshHealth(0), 2_000).problem).toBe('nothing listens');
  expect(run([bad, good], freshHealth(0), 100).problem).toBeNull();
});

test('a start that takes too long says so, with the last words of the check', () => {
  expect(run([bad], freshHealth(0), 29_999).problem).toBe('answered 503');
  expect(run([bad], freshHealth(0), 30_000).problem).toBe('not ready within 30 s of its start: answered 503');
  expect(isLate(run([bad], freshHealth(0), 29_999), health, 29_999)).toBe(false);
  expect(isLate(run([bad], freshHealth(0), 30_000), health, 30_000)).toBe(true);
  expect(isLate(run([good], freshHealth(0), 30_000), health, 60_000)).toBe(false);
});

test.each<[string, ProbeResult[], number, string | null]>([
  ['as long as nothing listens', [silent, silent, silent], 5_000, 'exited with code 1'],
  ['not when it answers', [silent, bad], 1_000, 'answered 503'],
  ['not when it is ready', [silent, good], 1_000, null],
  ['not when it is late', [silent], 30_000, 'not ready within 30 s of its start: nothing listens'],
])('a process that starts again says why it had ended, %s', (_, results, everyMs, told) => {
  const state = run(results, freshHealth(0), everyMs);
  expect(shownProblem(state, 'exited with code 1', health, results.length * everyMs)).toBe(told);
});

test('a hang is told with the last words of the check', () => {
  expect(hangProblem(run([silent]), health)).toBe('did not answer for 30 s: nothing listens');
  expect(hangProblem(run([good, silent]), health)).toBe('did not answer for 30 s: nothing listens');
  expect(hangProblem(freshHealth(0), { ...health, startWithinMs: 1_500 })).toBe('did not answer for 1.5 s');
});

test('silence for the start time is a hang; an error answer is not', () => {
  expect(isHung(run([silent, silent]), health, 29_999)).toBe(false);
  expect(isHung(run([silent, silent]), health, 30_000)).toBe(true);
  expect(isHung(run([silent, bad]), health, 300_000)).toBe(false);
  expect(isHung(run([good, silent]), health, 31_999)).toBe(false);
  expect(isHung(run([good, silent]), health, 32_000)).toBe(true);
});

test('the first answer of an endpoint decides', () => {
  expect(run([good], unaskedHealth(health, 0))).toMatchObject({ phase: 'ready', problem: null });
  expect(run([silent], unaskedHealth(health, 0))).toMatchObject({ phase: 'unhealthy', problem: 'nothing listens' });
});

test('a starting process is asked often, a ready one on schedule', () => {
  expect(nextProbeMs(freshHealth(0), health)).toBe(100);
  expect(nextProbeMs(run([good]), health)).toBe(2_000);
});

test('ready always means that the last answer that counted was good', () => {
  const results = fc.array(fc.constantFrom(good, bad, silent), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(results, (sequence) => {
      const state = run(sequence);
      const lastGood = sequence.lastIndexOf(good);
      const badAtEnd = sequence.length - 1 - lastGood;
      if (state.phase === 'ready') {
        expect(lastGood).toBeGreaterThanOrEqual(0);
        expect(badAtEnd).toBeLessThan(health.unhealthyAfter);
        expect(state.problem).toBeNull();
      } else if (lastGood >= 0) expect(state.phase).toBe('unhealthy');
      if (state.phase === 'unhealthy') expect(state.problem).not.toBeNull();
    }),
  );
});

test('back-off doubles from 200 ms to 30 s and jitters over its upper half', () => {
  expect(startAgainMs(1, 1)).toBe(200);
  expect(startAgainMs(1, 0)).toBe(100);
  expect(startAgainMs(4, 1)).toBe(1_600);
  expect(startAgainMs(1_000, 1)).toBe(30_000);
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { HealthSpec } from '../spec/model.ts';
import { startAgainMs } from './back-off.ts';
import {
  afterProbe,
  freshHealth,
  type HealthState,
  isHung,
  nextProbeMs,
  type ProbeResult,
  unaskedHealth,
} from './health.ts';

const health: HealthSpec = {
  path: '/q/health',
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

test('a start that takes too long has a problem in words', () => {
  expect(run([bad], freshHealth(0), 29_999).problem).toBeNull();
  expect(run([bad], freshHealth(0), 30_000).problem).toBe('not ready 30 s after its start: answered 503');
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

import { expect, test } from 'vitest';
import type { ScenarioVerdict } from './scenario.ts';
import { judgeSilence, type SilenceSeen } from './silence-scenario.ts';

const progressing = {
  ...{ step: 0, weightBp: 1_000, heldMs: 500, phase: 'progressing' as const, rollbackCause: null, endedAtMs: null },
  held: null,
};
const held = { ...progressing, held: { verdict: 'hold', reason: 'the metrics cannot be read' } };
const noData = { ...held, phase: 'rolled-back' as const, rollbackCause: 'no-data' as const, weightBp: 0, endedAtMs: 1 };
const good: SilenceSeen = {
  ...{ silenceMs: 8_000, neededMs: 5_000, perSecond: 200 },
  ...{ atStart: held, atEnd: held, after: { ...progressing, step: 1, weightBp: 5_000 } },
};
const patient = { holdMs: 60_000, then: 'rollback' as const };
const strict = { holdMs: 5_000, then: 'rollback' as const };

test.each<[string, Partial<SilenceSeen>, { holdMs: number; then: 'rollback' | 'hold' }, ScenarioVerdict]>([
  ['it holds, then goes on', {}, patient, 'PASS'],
  ['it goes on late because it is told to hold', {}, { ...strict, then: 'hold' }, 'PASS'],
  ['the weight rises', { atEnd: { ...held, weightBp: 5_000 } }, patient, 'FAIL'],
  ['it is not held', { atEnd: progressing }, patient, 'FAIL'],
  ['it never decides again', { after: null }, patient, 'FAIL'],
  ['it ends too early', { atEnd: noData, after: noData }, patient, 'FAIL'],
  ['it ends as the policy says', { atEnd: noData, after: noData }, strict, 'PASS'],
  ['it goes on although it should end', {}, strict, 'FAIL'],
  ['it is rolled back for another reason', { after: { ...noData, rollbackCause: 'instant' } }, patient, 'FAIL'],
  ['no request flows', { perSecond: 0 }, patient, 'INCONCLUSIVE'],
])('%s', (_what, change, policy, verdict) => {
  expect(judgeSilence({ ...good, ...change }, policy).verdict).toBe(verdict);
});

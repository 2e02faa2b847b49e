import { describe, expect, it } from 'vitest';
import type { ReleaseEvent } from './events.ts';
import { explainRelease } from './explain.ts';
import { given, policy, requestedV2, stepOf } from './release.fixture.ts';
import { saying } from './scripted-judge.fixture.ts';
import { releaseView } from './view.ts';

const about = (type: ReleaseEvent['type'], rest: object = {}): ReleaseEvent =>
  ({ type, data: { release: 'shop-1', ...rest } }) as ReleaseEvent;

function explain(...events: ReleaseEvent[]) {
  const release = given(requestedV2, ...events).releases['shop-1'];
  if (!release) throw new Error('no release');
  return explainRelease(releaseView(release, null));
}

describe('why a release is where it is', () => {
  const cases: [string, ReleaseEvent[], string, string][] = [
    ['requested', [], 'waits for its instances', 'when every instance is ready'],
    [
      'in flight',
      [stepOf(0)],
      'gets 10% of the traffic. The first look is still to come',
      'when the hold time is over',
    ],
    [
      'looked at',
      [stepOf(0), about('release.observed', { looks: [saying('continue')] })],
      'scripted continue',
      'hold time',
    ],
    ['paused', [stepOf(0), about('release.paused', { reason: 'lunch' })], 'paused by ada: lunch', 'davy resume shop-1'],
    [
      'held',
      [stepOf(0), about('release.held', { verdict: 'hold', reason: 'no data' })],
      'is held: no data',
      'davy promote',
    ],
    [
      'rolled back',
      [stepOf(0), about('release.rollback.decided', { cause: 'instant', reason: 'half of it fails', judgement: null })],
      'was rolled back (instant): half of it fails',
      'not tried again by itself',
    ],
    ['cancelled', [about('release.cancelled', { reason: 'wrong one' })], 'was cancelled: wrong one', 'has ended'],
  ];
  it.each(cases)('%s', (_name, events, sentence, next) => {
    const explanation = explain(...events);
    expect(explanation.sentence).toContain(sentence);
    expect(explanation.next).toContain(next);
  });

  it('shows the steps with the current one marked', () => {
    const steps = new Map(explain(stepOf(1)).facts).get('steps');
    expect(steps).toBe('10% → [50%] → 100%');
    expect(policy.steps).toHaveLength(3);
  });

  it('tells the verdict in the four words only', () => {
    const verdict = (...events: ReleaseEvent[]) => new Map(explain(...events).facts).get('verdict');
    expect(verdict()).toBe('INCONCLUSIVE');
    expect(verdict(stepOf(0), about('release.observed', { looks: [saying('hold')] }))).toBe('ERROR');
    expect(verdict(stepOf(0), about('release.observed', { looks: [saying('advance')] }))).toBe('PASS');
    expect(
      verdict(stepOf(0), about('release.rollback.decided', { cause: 'operator', reason: 'x', judgement: null })),
    ).toBe('FAIL');
  });
});

import { describe, expect, it } from 'vitest';
import { DavyError } from '../lib/error.ts';
import {
  decideLook,
  decidePause,
  decidePromote,
  decideRequest,
  decideResume,
  decideRollback,
  decideStart,
  decideZeroConfirmed,
  findRelease,
  type RequestCommand,
} from './decide.ts';
import type { ReleaseEvent } from './events.ts';
import { given, policy, requestedV2, service, stepOf } from './release.fixture.ts';
import { saying, scriptedJudge } from './scripted-judge.fixture.ts';
import type { FleetState } from './state.ts';

const types = (events: ReleaseEvent[]): string[] => events.map((event) => event.type);
const about = (release: string, type: ReleaseEvent['type'], rest: object = {}): ReleaseEvent =>
  ({ type, data: { release, ...rest } }) as ReleaseEvent;
const paused = about('shop-1', 'release.paused', { reason: 'lunch' });
const held = about('shop-1', 'release.held', { verdict: 'hold', reason: 'no data' });
const completed = about('shop-1', 'release.completed', {
  service: 'shop',
  stable: 'v2',
  exposure: null,
  judgement: null,
});
const rolledBack = about('shop-1', 'release.rollback.decided', { cause: 'instant', reason: 'bad', judgement: null });

const ask = (more: Partial<RequestCommand> = {}): RequestCommand => ({
  service,
  policy,
  version: 'v2',
  reason: 'new feature',
  by: 'ada',
  supersede: false,
  ...more,
});

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof DavyError ? error.code : String(error);
  }
  return 'no error';
}

describe('a version is asked for', () => {
  const cases: [string, FleetState, RequestCommand, string[]][] = [
    ['nothing in flight', given(), ask(), ['release.requested']],
    [
      'another version in flight, same person',
      given(requestedV2),
      ask({ version: 'v3' }),
      ['release.cancelled', 'release.requested'],
    ],
    [
      'the stable one while another is in flight',
      given(requestedV2, stepOf(0)),
      ask({ version: 'v1' }),
      ['release.cancelled'],
    ],
    [
      'in flight by another, superseded',
      given(requestedV2),
      ask({ version: 'v3', by: 'bob', supersede: true }),
      ['release.cancelled', 'release.requested'],
    ],
  ];
  it.each(cases)('%s', (_name, fleet, command, expected) => {
    expect(types(decideRequest(fleet, command))).toEqual(expected);
  });

  const refusals: [string, FleetState, RequestCommand, string][] = [
    ['unknown version', given(), ask({ version: 'v9' }), 'release/unknown-version'],
    ['already stable', given(), ask({ version: 'v1' }), 'release/already-stable'],
    ['the same again', given(requestedV2), ask(), 'release/already-in-flight'],
    ["another operator's", given(requestedV2), ask({ version: 'v3', by: 'bob' }), 'release/in-flight-by-another'],
    ['no reason', given(), ask({ reason: '  ' }), 'lib/blank-reason'],
    ['a reason that nobody sees', given(), ask({ reason: '\u200b\u3164' }), 'lib/blank-reason'],
    ['endless reason', given(), ask({ reason: 'x'.repeat(501) }), 'release/reason-too-long'],
  ];
  it.each(refusals)('refused: %s', (_name, fleet, command, code) => {
    expect(codeOf(() => decideRequest(fleet, command))).toBe(code);
  });

  it('starts the next release at 0 with fresh evidence and a name that only grows', () => {
    const fleet = given(requestedV2, stepOf(0), about('shop-1', 'release.observed', { looks: [saying('continue')] }));
    const [, requested] = decideRequest(fleet, ask({ version: 'v3' }));
    expect(requested?.data).toMatchObject({ release: 'shop-2', version: 'v3', from: 'v1' });
    const next = given(
      requestedV2,
      stepOf(0),
      about('shop-1', 'release.cancelled', { reason: '' }),
      requested as ReleaseEvent,
    );
    expect(next.releases['shop-2']).toMatchObject({ step: -1, weightBp: 0, judge: { looks: 0 }, phase: 'requested' });
    expect(next.releases['shop-1']).toMatchObject({ phase: 'cancelled', weightBp: 0 });
  });
});

describe('the first step', () => {
  const release = findRelease(given(requestedV2), 'shop-1');
  it('waits until every instance is ready', () => {
    expect(decideStart(release, { ready: 1, wanted: 2, problem: null }, 100)).toEqual([]);
    expect(types(decideStart(release, { ready: 2, wanted: 2, problem: null }, 100))).toEqual(['release.step.decided']);
  });
  it('is never taken after the deadline: the release fails and says why', () => {
    const [event] = decideStart(release, { ready: 0, wanted: 2, problem: 'exit code 1' }, 5000);
    expect(event).toMatchObject({ type: 'release.rollback.decided', data: { cause: 'deadline' } });
    expect(event?.data).toHaveProperty('reason', expect.stringContaining('exit code 1'));
  });
  it('waits while a person has paused the release', () => {
    const waiting = findRelease(given(requestedV2, paused), 'shop-1');
    expect(decideStart(waiting, { ready: 2, wanted: 2, problem: null }, 99_999)).toEqual([]);
  });
});

describe('a look', () => {
  const cases: [string, ReleaseEvent[], string, string[]][] = [
    ['continue', [stepOf(0)], 'continue', []],
    ['advance', [stepOf(0)], 'advance', ['release.step.decided']],
    ['advance while paused', [stepOf(0), paused], 'advance', []],
    ['advance after the last step', [stepOf(2)], 'advance', ['release.completed']],
    ['rollback', [stepOf(1)], 'rollback:instant', ['release.rollback.decided']],
    ['rollback while paused', [stepOf(1), paused], 'rollback:sustained', ['release.rollback.decided']],
    ['hold', [stepOf(0)], 'hold', ['release.held']],
    ['hold again', [stepOf(0), held], 'hold', []],
    ['inconclusive after a hold', [stepOf(0), held], 'inconclusive', ['release.held']],
    ['continue after a hold', [stepOf(0), held], 'continue', ['release.hold.cleared']],
    ['pod fault', [stepOf(0)], 'pod-fault:shop/v2/1', ['release.held', 'release.instance.suspected']],
    ['anything before the first step', [], 'advance', []],
    ['anything after the end', [stepOf(0), rolledBack], 'advance', []],
  ];
  it.each(cases)('%s', (_name, events, verdict, expected) => {
    const release = findRelease(given(requestedV2, ...events), 'shop-1');
    expect(types(decideLook(release, saying(verdict), scriptedJudge))).toEqual(['release.observed', ...expected]);
  });
});

describe('a person', () => {
  const progressing = given(requestedV2, stepOf(0));
  it('pauses and resumes', () => {
    expect(types(decidePause(progressing, 'shop-1', 'lunch'))).toEqual(['release.paused']);
    expect(types(decideResume(given(requestedV2, stepOf(0), paused), 'shop-1', 'back'))).toEqual(['release.resumed']);
    expect(codeOf(() => decideResume(progressing, 'shop-1', 'x'))).toBe('release/not-paused');
    expect(codeOf(() => decidePause(given(requestedV2, paused), 'shop-1', 'x'))).toBe('release/already-paused');
  });
  it('promotes one step, to the end, or completes the watch', () => {
    const options = { reason: 'urgent', full: false, readyInstances: 1 };
    expect(decidePromote(progressing, 'shop-1', options)[0]?.data).toMatchObject({ step: 1, why: 'person' });
    expect(decidePromote(progressing, 'shop-1', { ...options, full: true })[0]?.data).toMatchObject({ step: 2 });
    expect(types(decidePromote(given(requestedV2, stepOf(2)), 'shop-1', options))).toEqual(['release.completed']);
    expect(codeOf(() => decidePromote(progressing, 'shop-1', { ...options, readyInstances: 0 }))).toBe(
      'release/not-ready',
    );
  });
  it('rolls back from any state but an ended one', () => {
    expect(types(decideRollback(given(requestedV2), 'shop-1', 'no'))).toEqual(['release.cancelled']);
    expect(types(decideRollback(progressing, 'shop-1', 'no'))).toEqual(['release.rollback.decided']);
    expect(types(decideRollback(given(requestedV2, stepOf(2), completed), 'shop-1', 'no'))).toEqual([
      'release.rollback.decided',
    ]);
    expect(codeOf(() => decideRollback(given(requestedV2, stepOf(0), rolledBack), 'shop-1', 'no'))).toBe(
      'release/finished',
    );
    expect(codeOf(() => decideRollback(progressing, 'shop-9', 'no'))).toBe('release/unknown-release');
  });
  it('returns to the version before when a finished release is rolled back', () => {
    const fleet = given(requestedV2, stepOf(2), completed);
    expect(fleet.services.shop?.stable).toBe('v2');
    const back = given(requestedV2, stepOf(2), completed, ...decideRollback(fleet, 'shop-1', 'too slow for partners'));
    expect(back.services.shop).toMatchObject({ stable: 'v1', active: null });
    expect(back.releases['shop-1']?.phase).toBe('rolled-back');
  });
});

describe('the end of a rollback', () => {
  it('is recorded once, with the time from the first failure to the last request', () => {
    const release = findRelease(given(requestedV2, stepOf(0), rolledBack), 'shop-1');
    const exposure = {
      release: 'shop-1',
      version: 'v2',
      requests: 40,
      failures: 4,
      firstRequestAtMs: 900,
      firstFailureAtMs: 1000,
      lastRequestAtMs: 4500,
    };
    const events = decideZeroConfirmed(release, exposure, 2);
    expect(events[0]?.data).toMatchObject({ secondsToZero: 3.5, open: 2 });
    expect(decideZeroConfirmed(release, exposure, null)[0]?.data).not.toHaveProperty('open');
    const confirmed = given(requestedV2, stepOf(0), rolledBack, ...events);
    expect(decideZeroConfirmed(findRelease(confirmed, 'shop-1'), exposure, 0)).toEqual([]);
  });
});

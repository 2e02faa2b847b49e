import { describe, expect, it } from 'vitest';
import type { Judgement } from '../../src/analysis/judge.ts';
import { Drive, policyOf } from '../../src/analysis/tick.fixture.ts';
import { type Course, Progress, type ProgressOptions } from './progress.ts';

/** Watched at one weight: nothing rolls back but what the judge sees; a step ends late. */
function policyAt(weightBp: number, noDataMs = 300_000) {
  const limits = { errorShare: null, latency: [] };
  return policyOf({ steps: [{ weightBp, holdMs: 3_600_000, limits }], noData: { holdMs: noDataMs, then: 'rollback' } });
}

function quick(random: () => number): Course {
  const endsMs = 20 + 40 * random();
  return { headMs: endsMs, endsMs };
}

const slowAnswer = (random: () => number): Course => {
  const endsMs = -Math.log(1 - random()) * 8_000;
  return { headMs: endsMs, endsMs };
};

const stream = (random: () => number): Course => ({ headMs: 20 + 40 * random(), endsMs: 30_000, stream: true });
const hung: Course = { headMs: null, endsMs: Number.POSITIVE_INFINITY };

interface Watched {
  last: Judgement;
  /** Looks until the rollback; all of them without one. */
  looks: number;
  reasons: string[];
}

function watch(
  parts: Partial<ProgressOptions>,
  looks: number,
  prepare: (progress: Progress) => void = () => {},
): Watched {
  const options = { seed: 1, requestsPerSecond: 20, weight: 0.1, instances: { canary: 2, stable: 2 }, ...parts };
  const progress = new Progress({ course: (_v, _i, random) => quick(random), ...options });
  prepare(progress);
  const drive = new Drive(policyAt(options.weight * 10_000));
  const reasons: string[] = [];
  for (let look = 1; look <= looks; look++) {
    const last = drive.look(progress.tick(1000));
    reasons.push(last.reason);
    if (last.verdict === 'rollback' || look === looks) return { last, looks: look, reasons };
  }
  throw new Error('no look');
}

const UNANSWERED = /^No proof of harm .*: \d+ requests? (was|were) sent to the canary, none was answered yet; waiting/;
const SEEDS = Array.from({ length: 24 }, (_, seed) => seed + 1);
/** With alpha 1 %: more than this many false rollbacks of 24 happen once in 10,000 such tests. */
const AT_MOST = 3;

describe('an equal version that the weight is right for is not rolled back', () => {
  it.each<[string, Partial<ProgressOptions>]>([
    ['with streams of 30 s only', { course: (_v, _i, random) => stream(random) }],
    [
      'with streams of which half break',
      { course: (_v, _i, random) => ({ ...stream(random), endsMs: 8_000 * random() + 100, breaks: random() < 0.5 }) },
    ],
    ['with answers that take 8 s', { course: (_v, _i, random) => slowAnswer(random) }],
    [
      'with one stream among ten requests',
      { course: (_v, _i, random) => (random() < 0.1 ? stream(random) : quick(random)) },
    ],
    [
      'when both arms hang now and then',
      { course: (_v, _i, random) => (random() < 0.05 ? hung : quick(random)), timeoutMs: 7_000 },
    ],
    ['with four sticky clients', { clients: 4, requestsPerSecond: 80, weight: 0.5 }],
    ['with four sticky clients at a small weight', { clients: 4, requestsPerSecond: 80 }],
    ['with one sticky client', { clients: 1, weight: 0.5 }],
    ['with a thousand sticky clients', { clients: 1000, requestsPerSecond: 100 }],
  ])('%s', (_, options) => {
    const ended = SEEDS.map((seed) => watch({ ...options, seed }, 90));
    const falsely = ended.filter(({ last }) => last.verdict === 'rollback');
    expect(falsely.map(({ last }) => last.reason).slice(AT_MOST)).toEqual([]);
  });
});

describe('a version that hangs', () => {
  const hangs = (share: number): ProgressOptions['course'] => {
    return (version, _i, random) => (version === 'canary' && random() < share ? hung : quick(random));
  };

  it.each([
    ['and clients wait for ever', {}, 40],
    ['behind clients that leave after two seconds', { patienceMs: 2_000 }, 40],
    ['behind a gateway that gives up after seven seconds', { timeoutMs: 7_000 }, 40],
    ['on its only instance', { instances: { canary: 1, stable: 1 }, patienceMs: 2_000 }, 25],
  ])('%s is rolled back for it, and the words say so', (_, options, within) => {
    for (const seed of SEEDS.slice(0, 12)) {
      const { last, looks, reasons } = watch({ requestsPerSecond: 30, ...options, seed, course: hangs(1) }, within);
      expect(last.verdict).toBe('rollback');
      expect(last.reason).toMatch(/does not answer|none was answered yet|got no answer in time|not answered yet/);
      expect(last.evidence.metrics.find(({ name }) => name === 'split')!.evidence).toBeLessThan(20);
      expect(looks).toBeLessThanOrEqual(within);
      expect(reasons.some((reason) => UNANSWERED.test(reason))).toBe(true);
    }
  });

  it('for one request in ten is rolled back, although none of them ever fails', () => {
    for (const seed of SEEDS.slice(0, 12)) {
      const { last } = watch({ seed, course: hangs(0.1), requestsPerSecond: 100, weight: 0.5 }, 40);
      expect(last.verdict).toBe('rollback');
      expect(last.reason).toMatch(/^Canary fails or does not answer .* % of \d+ requests/);
      expect(last.evidence.metrics[0]).toMatchObject({ name: 'errors', canary: { events: 0 } });
    }
  });

  it('on one of three instances is that instance at fault', () => {
    const one: ProgressOptions['course'] = (version, instance, random) => {
      return version === 'canary' && instance === 1 ? hung : quick(random);
    };
    const progress = new Progress({
      ...{ seed: 1, requestsPerSecond: 200, weight: 0.5, instances: { canary: 3, stable: 3 }, course: one },
    });
    const drive = new Drive(policyAt(5000));
    let found = drive.look(progress.tick(1000));
    for (let i = 0; i < 300 && found.verdict !== 'rollback' && found.verdict !== 'pod-fault'; i++)
      found = drive.look(progress.tick(1000));
    expect(found).toMatchObject({ verdict: 'pod-fault', instance: 'svc/v2/2' });
  });
});

describe('a sticky canary that gets nothing', () => {
  it('since no instance of it is fit, although clients are its own: that is silence', () => {
    const { last, reasons } = watch({ clients: 4, requestsPerSecond: 80, weight: 0.5, seed: 3 }, 10, (progress) => {
      progress.canaryOut = true;
    });
    expect(last.verdict).toBe('hold');
    expect(reasons.at(-1)).toMatch(/^The canary has had no requests for \d+ looks while stable has some/);
  });

  it('of hundreds of new clients: the split is wrong', () => {
    const none: ProgressOptions = {
      ...{ seed: 1, requestsPerSecond: 100, weight: 0.1, instances: { canary: 2, stable: 2 }, clients: 0 },
      course: (_v, _i, random) => quick(random),
    };
    const progress = new Progress(none);
    const drive = new Drive(policyAt(1000));
    let found = drive.look(progress.tick(1000));
    for (let i = 0; i < 60 && found.verdict !== 'rollback'; i++) {
      const tick = progress.tick(1000);
      found = drive.look({ ...tick, clients: { dealt: { v1: 20, v2: 0 }, diverted: 0 } });
    }
    expect(found).toMatchObject({ verdict: 'rollback', speed: 'statistical' });
    expect(found.reason).toMatch(/^Canary gets 0 % of \d+ new clients; evidence .* \(.*split/);
  });

  it('because none of its few clients is the canary’s: nothing is wrong, and nothing is proven', () => {
    const { last } = watch({ clients: 2, requestsPerSecond: 40, weight: 0.01, seed: 1 }, 60);
    expect(last.verdict).toBe('continue');
    expect(last.promote.passed).toBe(false);
  });
});

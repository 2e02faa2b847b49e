import { describe, expect, it } from 'vitest';
import { policyOf } from '../tick.fixture.ts';
import { type ReleaseOutcome, simulateRelease } from './release.ts';
import { parseScenario } from './scenario.ts';
import { summarise, wilsonUpper } from './summary.ts';

const policy = policyOf({
  lookMs: 10_000,
  steps: [
    { weightBp: 1000, holdMs: 1_800_000, limits: { errorShare: 0.01, latency: [{ quantile: 0.95, underMs: 500 }] } },
    { weightBp: 5000, holdMs: 900_000, limits: { errorShare: 0.01, latency: [{ quantile: 0.95, underMs: 500 }] } },
    { weightBp: 10_000, holdMs: 900_000, limits: { errorShare: 0.01, latency: [{ quantile: 0.95, underMs: 500 }] } },
  ],
});

function outcomes(
  scenario: string,
  rps = 200,
  runs = 20,
  steps = policy.steps,
  lookMs = policy.lookMs,
): ReleaseOutcome[] {
  const traffic = {
    stable: 'v1',
    canary: 'v2',
    rps,
    baseErrorShare: 0.001,
    canaryInstances: 3,
    stableInstances: 6,
    edges: [10, 25, 50, 100, 200, 500, 1000],
    medianMs: 50,
    latencySpread: 0.7,
    scenario: parseScenario(scenario),
  };
  return Array.from(
    { length: runs },
    (_, i) => simulateRelease({ policy: { ...policy, steps, lookMs }, traffic, guard: 'auto' }, i + 1).davy,
  );
}

const ends = (list: ReleaseOutcome[], end: string): number => list.filter((one) => one.end === end).length;

describe('simulated releases', () => {
  it('promote a healthy version in the planned time', () => {
    const found = outcomes('healthy');
    expect(ends(found, 'promoted')).toBe(20);
    // Holds of an hour in all, and a few minutes more where the proof at 10 % takes longer than the hold.
    for (const one of found) expect(one.atMs).toBeLessThan(2 * 3_600_000);
  });

  it.each(['errors:2%', 'errors:50%', 'latency:x2', 'errors:2%@10m'])(
    'roll back under %s, after it began',
    (scenario) => {
      const found = outcomes(scenario);
      expect(ends(found, 'rolled-back')).toBe(20);
      for (const one of found) {
        expect(one.falsely).toBe(false);
        expect(one.excessFailed).toBeLessThan(600);
      }
    },
  );

  it('do not roll a healthy version back where most looks see no canary request', () => {
    // 5 requests/s at 10 % and a look a second: about half of the looks are silent by chance, and each of them counts.
    const found = outcomes('healthy', 5, 8, policy.steps.slice(0, 1), 1000);
    expect(ends(found, 'rolled-back')).toBe(0);
  });

  it.each(['incident:24', 'bursts:5'])('hold through %s while there is stable traffic to compare with', (scenario) => {
    expect(ends(outcomes(scenario, 200, 20, policy.steps.slice(0, 2)), 'rolled-back')).toBeLessThanOrEqual(1);
  });

  it('repeat themselves with the same seed', () => {
    expect(outcomes('errors:1%', 50, 3)).toEqual(outcomes('errors:1%', 50, 3));
  });
});

describe('scenarios', () => {
  it.each([
    ['healthy', { errorShare: null, slowdown: 1, onsetMs: 0 }],
    ['errors:0.5%@12h', { errorShare: 0.005, onsetMs: 43_200_000 }],
    ['latency:+25%', { slowdown: 1.25, onsetMs: 0 }],
    ['latency:x2@1h,incident:3', { slowdown: 2, onsetMs: 3_600_000, incidentsPerDay: 3 }],
    ['bursts', { burst: 5 }],
    ['hiccups:2', { hiccupsPerDay: 2 }],
  ])('%s', (text, wanted) => {
    expect(parseScenario(text)).toMatchObject(wanted);
  });

  it.each(['errors', 'errors:5', 'errors:200%', 'latency:25%', 'sunshine', 'errors:1%@soon', 'bursts:0', ''])(
    'refuses "%s"',
    (text) => {
      expect(() => parseScenario(text)).toThrow(/Scenario/);
    },
  );
});

describe('the summary', () => {
  it('never calls 0 of 500 zero', () => {
    expect(wilsonUpper(0, 500)).toBeCloseTo(0.0076, 4);
    expect(wilsonUpper(5, 500)).toBeCloseTo(0.0232, 4);
  });

  it('counts by end and time', () => {
    const one: ReleaseOutcome = {
      end: 'rolled-back',
      speed: 'instant',
      atMs: 70_000,
      falsely: false,
      excessFailed: 4,
      canaryRequests: 10,
      instanceFaults: 0,
    };
    const found = summarise(
      [one, { ...one, atMs: 90_000 }, { ...one, end: 'promoted', speed: null }, { ...one, falsely: true }],
      60_000,
    );
    expect(found.caught).toEqual({ share: 0.5, medianMs: 10_000, p95Ms: 30_000, medianFailed: 4 });
    expect(found.falseRollback).toMatchObject({ share: 0.25, byRule: { instant: 1 } });
    expect(found.promoted.share).toBe(0.25);
  });
});

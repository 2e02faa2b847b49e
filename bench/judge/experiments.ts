import { evidence } from '../../src/analysis/mixture.ts';
import { logEvidence } from '../../src/analysis/safe.ts';
import { davy, davyRun, HOUR_MS, LITERAL_RULES, policyFor } from './davy.ts';
import { argo } from './rivals/argo.ts';
import { flagger } from './rivals/flagger.ts';
import { kayenta, kayentaOnP95 } from './rivals/kayenta.ts';
import { lindonMalek } from './rivals/lindon-malek.ts';
import { intervals, type Rule } from './rivals/rule.ts';
import { largestMean, meanOf, sustained } from './rivals/thresholds.ts';
import { peekedZTest } from './rivals/z-test.ts';
import { World, type WorldSettings } from './world.ts';

/** What one run of an experiment yields, by name. */
export type Sample = Record<string, number | null>;

/** Oracle thresholds for one setting: the error shares that give 1 % false rollbacks in 72 h. */
export interface Tuned {
  flagger: number;
  mean: number;
}

const HOUR = 3600;

function rulesOf(tuned: Tuned | null): Record<string, Rule> {
  const rules: Record<string, Rule> = {
    davy: davy(),
    'davy, all rules': davy(LITERAL_RULES),
    'Lindon-Malek': lindonMalek(),
    Flagger: flagger(),
    'Argo 1 m': argo(),
    'Argo docs': argo({ everySeconds: 300, minSuccess: 0.95 }),
    'sustained 5 m': sustained(),
    'mean 5 m': meanOf(),
    'Kayenta hourly': kayenta('hourly'),
    'Kayenta sliding': kayenta('sliding'),
    'peeked z-test': peekedZTest(),
  };
  if (tuned === null) return rules;
  return {
    ...rules,
    'Flagger tuned': flagger({ maxErrorShare: tuned.flagger }),
    'mean tuned': meanOf({ maxErrorShare: tuned.mean }),
  };
}

/** When each rule first rolls back (seconds, null: never), and the excess canary failures served by then. */
export function race(settings: WorldSettings, tuned: Tuned | null, seconds: number, dt: number, seed: number): Sample {
  const world = new World(settings, seed);
  const rules = rulesOf(tuned);
  const waiting = new Set(Object.keys(rules));
  const out: Sample = {};
  for (const name of waiting) {
    out[`${name}|at`] = null;
    out[`${name}|bad`] = null;
  }
  while (world.t < seconds && waiting.size > 0) {
    const { counts } = world.next(dt);
    for (const name of waiting) {
      if (!rules[name]!.look(counts)) continue;
      out[`${name}|at`] = world.t;
      out[`${name}|bad`] = world.bad;
      waiting.delete(name);
    }
  }
  for (const name of waiting) out[`${name}|bad`] = world.bad;
  return out;
}

/** The statistics that the two tunable rules compare: their 99th percentile over runs is the oracle's threshold. */
export function tuning(settings: WorldSettings, seed: number): Sample {
  const world = new World(settings, seed);
  const minute = intervals(60);
  const mean = largestMean(300);
  const minutes: number[] = [];
  let highest = 0;
  while (world.t < 72 * HOUR) {
    const { counts } = world.next(30);
    const whole = minute(counts);
    if (whole !== null) minutes.push(whole.nc > 0 ? whole.xc / whole.nc : 1);
    highest = Math.max(highest, mean(counts));
  }
  minutes.sort((a, b) => b - a);
  return { flagger: minutes[4] ?? 1, mean: highest };
}

/** The highest evidence against a canary at exactly the tolerated rate, and for one at exactly the margin. */
export function validity(
  settings: WorldSettings,
  at: 'tolerance' | 'margin' | 'equal',
  seconds: number,
  seed: number,
): Sample {
  const world = new World({ ...settings, scenario: 'healthy' }, seed);
  const extra = new World({ rps: 1, base: 0 }, seed + 1);
  const policy = policyFor();
  const run = davyRun(policy, 'off');
  const { ratio, plusShare } = at === 'margin' ? policy.promote.errors : policy.compare.errors;
  let harm = 0;
  let safe = 0;
  while (world.t < seconds) {
    const { seen } = world.next(30);
    const row = seen.tick.versions.v2![0]!;
    if (at !== 'equal') {
      const wanted = Math.min(1, ratio * seen.baseShare + plusShare);
      row.errors = extra.draw(row.requests, wanted);
    }
    run.look(seen.tick);
    harm = Math.max(harm, evidence(run.state.errors, run.state.reserve));
    safe = Math.max(safe, Math.exp(Math.min(700, logEvidence(run.state.safe.errors))));
  }
  return { harm, safe };
}

/** Correlated failures on 3 canary and 27 stable instances: when each variant rolls back. */
export function correlated(settings: WorldSettings, seconds: number, seed: number): Sample {
  const world = new World({ canaryInstances: 3, stableInstances: 27, ...settings }, seed);
  const runs = { guarded: davyRun(policyFor(), 'auto'), 'without guard': davyRun(policyFor(), 'off') };
  const rules: Record<string, Rule> = {
    'Lindon-Malek': lindonMalek(),
    Flagger: flagger(),
    'sustained 5 m': sustained(),
    'mean 5 m': meanOf(),
    'Kayenta hourly': kayenta('hourly'),
  };
  const out: Sample = { 'instance faults': 0 };
  const waiting = new Set([...Object.keys(runs), ...Object.keys(rules)]);
  for (const name of waiting) out[`${name}|at`] = null;
  while (world.t < seconds && waiting.size > 0) {
    const { seen, counts } = world.next(30);
    for (const name of waiting) {
      const own = name === 'guarded' || name === 'without guard' ? runs[name].look(seen.tick) : null;
      if (own === 'pod-fault' && name === 'guarded') out['instance faults']!++;
      if (own === null ? !rules[name]!.look(counts) : own !== 'rollback') continue;
      out[`${name}|at`] = world.t;
      waiting.delete(name);
    }
  }
  return out;
}

const LATENCY_EDGES = [5, 10, 15, 20, 25, 35, 50, 75, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 2500, 5000];

/** Latency on 19 edges: Davy, a sustained p95 threshold, Flagger's p99 check, Kayenta on the p95 of each minute against a fresh baseline. */
export function latency(settings: WorldSettings, seconds: number, seed: number): Sample {
  const world = new World({ ...settings, edges: LATENCY_EDGES }, seed);
  const latencyLimits = { errorShare: null, latency: [{ quantile: 0.95, underMs: 500 }] };
  const run = davyRun(policyFor({}, latencyLimits), 'off');
  const at500 = LATENCY_EDGES.indexOf(500);
  const p95 = sustained({ maxErrorShare: 0.05 });
  const p99 = flagger({ maxErrorShare: 0.01 });
  const hourly = kayentaOnP95('hourly', LATENCY_EDGES);
  const sliding = kayentaOnP95('sliding', LATENCY_EDGES);
  const out: Sample = {
    'davy|at': null,
    'p95 > 500 ms for 5 m|at': null,
    'Flagger p99 < 500 ms|at': null,
    'Kayenta hourly|at': null,
    'Kayenta sliding|at': null,
  };
  while (world.t < seconds) {
    const { seen, counts } = world.next(30);
    const canary = seen.tick.versions.v2![0]!;
    const slow = { ...counts, xc: canary.over[at500]! };
    const baseline = { requests: counts.nb, over: world.drawOver(counts.nb) };
    const fired = {
      'davy|at': run.look(seen.tick) === 'rollback',
      'p95 > 500 ms for 5 m|at': p95.look(slow),
      'Flagger p99 < 500 ms|at': p99.look(slow),
      'Kayenta hourly|at': hourly.look(30, canary, baseline),
      'Kayenta sliding|at': sliding.look(30, canary, baseline),
    };
    for (const [name, is] of Object.entries(fired)) if (is) out[name] ??= world.t;
    if (Object.values(out).every((at) => at !== null)) break;
  }
  return out;
}

/** A release of 15 minutes' bake at 10 %: promoted, rolled back, or neither within a day. */
export function promotion(settings: WorldSettings, harm: number, seconds: number, seed: number): Sample {
  const world = new World(settings, seed);
  const extra = new World({ rps: 1, base: 0 }, seed + 1);
  const policy = policyFor({
    steps: [{ weightBp: 1000, holdMs: HOUR_MS / 4, limits: { errorShare: null, latency: [] } }],
    inconclusive: { holdMs: 72 * HOUR_MS, then: 'hold' },
  });
  const { ratio, plusShare } = policy.promote.errors;
  const run = davyRun(policy, 'off');
  while (world.t < seconds) {
    const { seen } = world.next(30);
    const tick = { ...seen.tick, edges: [500] };
    for (const rows of Object.values(tick.versions)) for (const row of rows) row.over = [0];
    const row = tick.versions.v2![0]!;
    // harm 0: like stable; 1: exactly at the margin; 2: twice as far from stable.
    const atMargin = ratio * seen.baseShare + plusShare;
    if (harm > 0)
      row.errors = extra.draw(row.requests, Math.min(1, seen.baseShare + harm * (atMargin - seen.baseShare)));
    const verdict = run.look(tick);
    if (verdict === 'advance') return { promoted: world.t, 'rolled back': null };
    if (verdict === 'rollback') return { promoted: null, 'rolled back': world.t };
  }
  return { promoted: null, 'rolled back': null };
}

/** The split: configured 10 %, really `actual`; and an absolute limit of 1 % with the canary really at `errors`. */
export function splitAlarm(rps: number, actual: number, seconds: number, seed: number): Sample {
  const world = new World({ rps, base: 0, weight: actual }, seed);
  const run = davyRun(policyFor(), 'off');
  while (world.t < seconds) {
    if (run.look(world.next(30).seen.tick) === 'rollback') return { at: world.t };
  }
  return { at: null };
}

export function limitAlarm(rps: number, errors: number, seconds: number, seed: number): Sample {
  const world = new World({ rps, base: 0 }, seed);
  const extra = new World({ rps: 1, base: 0 }, seed + 1);
  // The limit alone: without stable's traffic nothing else can speak.
  const policy = policyFor({
    steps: [{ weightBp: 10_000, holdMs: 72 * HOUR_MS, limits: { errorShare: 0.01, latency: [] } }],
  });
  const run = davyRun(policy, 'off');
  while (world.t < seconds) {
    const { seen } = world.next(30);
    const row = seen.tick.versions.v2![0]!;
    row.errors = extra.draw(row.requests, errors);
    if (run.look({ ...seen.tick, versions: { v1: [], v2: [row] } }) === 'rollback') return { at: world.t };
  }
  return { at: null };
}

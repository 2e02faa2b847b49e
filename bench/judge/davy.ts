import type { JudgeSetup, Verdict } from '../../src/analysis/judge.ts';
import { lookInto } from '../../src/analysis/look.ts';
import { planOf } from '../../src/analysis/plan.ts';
import { newState, type State } from '../../src/analysis/state.ts';
import type { Tick } from '../../src/metrics/tick.ts';
import type { PolicySpec, StepLimits } from '../../src/spec/model.ts';
import type { Counts, Rule } from './rivals/rule.ts';

export const HOUR_MS = 3_600_000;

/** The policy of the benchmark: one step of 72 h at 10 %, the default tolerances, alpha 1 %. */
export function policyFor(changes: Partial<PolicySpec> = {}, limits: Partial<StepLimits> = {}): PolicySpec {
  return {
    name: 'bench',
    lookMs: 30_000,
    steps: [{ weightBp: 1000, holdMs: 72 * HOUR_MS, limits: { errorShare: 0.01, latency: [], ...limits } }],
    sustainedMs: Number.MAX_SAFE_INTEGER,
    instant: null,
    compare: { falseRollbackShare: 0.01, errors: { ratio: 1.1, plusShare: 1e-4 }, latency: { ratio: 1.2 } },
    promote: {
      confidenceShare: 0.99,
      errors: { ratio: 1.25, plusShare: 0.001 },
      latency: { ratio: 1.5, plusShare: 0.005 },
    },
    noData: { holdMs: 300_000, then: 'rollback' },
    inconclusive: { holdMs: 1, then: 'hold' },
    errors: ['5xx'],
    warmupMs: 0,
    holdBackBp: 0,
    sharedIncident: 'hold',
    ...changes,
  };
}

/** The instant and the sustained rule of design.md's standard policy. */
export const LITERAL_RULES: Partial<PolicySpec> = {
  sustainedMs: 300_000,
  instant: { errorShare: 0.05, overMs: 30_000, minRequests: 50 },
};

/** The judge itself, driven tick by tick. */
export interface DavyRun {
  readonly state: State;
  look(tick: Tick): Verdict;
}

export function davyRun(policy: PolicySpec, guard: 'auto' | 'off'): DavyRun {
  const setup: JudgeSetup = { policy, stable: 'v1', canary: 'v2', guard };
  const plan = planOf(setup);
  const state = newState(setup, plan);
  const { weightBp } = policy.steps[0]!;
  return {
    state,
    look: (tick) => lookInto(state, setup, plan, { dtMs: tick.dtMs, tick, stepIndex: 0, weightBp }).verdict,
  };
}

/** Davy as one rule among others: error counts of one instance per version. */
export function davy(changes: Partial<PolicySpec> = {}): Rule {
  const run = davyRun(policyFor(changes), 'off');
  return {
    look({ t, dt, nc, xc, ns, xs }: Counts) {
      const row = (requests: number, errors: number) => [{ instance: 'a', requests, errors, over: [] }];
      return run.look({ t, dtMs: dt * 1000, edges: [], versions: { v1: row(ns, xs), v2: row(nc, xc) } }) === 'rollback';
    },
  };
}

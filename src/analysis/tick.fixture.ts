import type { InstanceTick, Tick } from '../metrics/tick.ts';
import type { PolicySpec, StepLimits } from '../spec/model.ts';
import type { Judgement, JudgeSetup, JudgeState, Look, Verdict } from './judge.ts';
import { judge } from './tep-judge.ts';

/** A policy as design.md declares it, in minutes instead of hours. */
export function policyOf(changes: Partial<PolicySpec> = {}): PolicySpec {
  const limits = (errorShare: number, underMs: number): StepLimits => ({
    errorShare,
    latency: [{ quantile: 0.95, underMs }],
  });
  return {
    name: 'test',
    lookMs: 1000,
    steps: [
      { weightBp: 1000, holdMs: 900_000, limits: limits(0.01, 500) },
      { weightBp: 5000, holdMs: 600_000, limits: limits(0.01, 500) },
      { weightBp: 10_000, holdMs: 600_000, limits: limits(0.01, 500) },
    ],
    sustainedMs: 300_000,
    instant: { errorShare: 0.05, overMs: 30_000, minRequests: 50 },
    compare: { falseRollbackShare: 0.01, errors: { ratio: 1.1, plusShare: 1e-4 }, latency: { ratio: 1.2 } },
    promote: {
      confidenceShare: 0.99,
      errors: { ratio: 1.25, plusShare: 0.001 },
      latency: { ratio: 1.5, plusShare: 0.005 },
    },
    noData: { holdMs: 300_000, then: 'rollback' },
    inconclusive: { holdMs: 3_600_000, then: 'hold' },
    errors: ['5xx', 'timeout', 'reset'],
    warmupMs: 0,
    holdBackBp: 0,
    sharedIncident: 'hold',
    ...changes,
  };
}

export const EDGES = [5, 10, 25, 50, 100, 250, 500, 1000];
/** Shares of stable's requests above each edge. */
const SURVIVAL = [0.99, 0.95, 0.8, 0.5, 0.2, 0.03, 0.006, 0.001];

/** What each instance of a version does: requests per tick, share of errors, and a factor on the shares above the edges. */
export interface Behaviour {
  requests: number;
  errors: number;
  slower?: number;
  /** Shares of its requests above each edge, where they are not stable's usual ones. */
  survival?: number[];
  ageMs?: number;
}

/** Exact shares without noise: fractional counts are counts too. */
export function row(instance: string, how: Behaviour): InstanceTick {
  const over = (how.survival ?? SURVIVAL).map((share) => how.requests * Math.min(1, share * (how.slower ?? 1)));
  const errors = how.requests * how.errors;
  return { instance, requests: how.requests, errors, over, ...(how.ageMs === undefined ? {} : { ageMs: how.ageMs }) };
}

/** Drives the judge like a release does, with the same two versions throughout. */
export class Drive {
  readonly setup: JudgeSetup;
  state: JudgeState;
  last: Judgement | null = null;
  t = 0;
  step = 0;

  constructor(policy: PolicySpec = policyOf(), extra: Partial<JudgeSetup> = {}) {
    this.setup = { policy, stable: 'v1', canary: 'v2', ...extra };
    this.state = judge.start(this.setup);
  }

  look(tick: Tick | null, dtMs = 1000, problem?: string): Judgement {
    const weightBp = this.setup.policy.steps[this.step]!.weightBp;
    const look: Look = { dtMs, tick, stepIndex: this.step, weightBp, ...(problem === undefined ? {} : { problem }) };
    const result = judge.look(this.setup, this.state, look);
    this.state = JSON.parse(JSON.stringify(result.state));
    this.last = result.judgement;
    return result.judgement;
  }

  tick(canary: Behaviour[], stable: Behaviour[], dtMs = 1000): Tick {
    this.t += dtMs / 1000;
    const rows = (name: string, list: Behaviour[]): InstanceTick[] =>
      list.map((how, i) => row(`${name}/${i + 1}`, how));
    return { t: this.t, dtMs, edges: EDGES, versions: { v1: rows('v1', stable), v2: rows('v2', canary) } };
  }

  /** The same tick again and again while the verdict is `continue` (or one of `through`), at most `looks` times. */
  until(canary: Behaviour[], stable: Behaviour[], looks: number, dtMs = 1000, through: Verdict[] = []): Judgement {
    const on = ['continue', ...through];
    let found = this.look(this.tick(canary, stable, dtMs), dtMs);
    for (let i = 1; i < looks && on.includes(found.verdict); i++)
      found = this.look(this.tick(canary, stable, dtMs), dtMs);
    return found;
  }

  enter(step: number): void {
    this.step = step;
    this.state = judge.enterStep(this.setup, this.state, step);
  }
}

import { own } from '../../lib/own.ts';
import type { Tick } from '../../metrics/tick.ts';
import type { Judgement, JudgeSetup, Look } from '../judge.ts';
import { judge } from '../tep-judge.ts';

export interface ReplayResult {
  judgement: Judgement;
  /** The tick's `t` at which the verdict was reached; of the last tick when none ended the replay. */
  at: number | null;
  /** Looks that were judged. */
  looks: number;
  /** The canary's requests and errors up to the verdict. */
  canaryRequests: number;
  failedRequests: number;
}

/** Verdicts after which a release is not what was recorded any more. */
const FINAL: ReadonlySet<string> = new Set(['rollback', 'advance', 'pod-fault', 'inconclusive']);

/**
 * The judge over recorded looks, exactly as it ran: same state, same order of sums, same verdicts. Ends at the first
 * verdict that would have changed the release. Null without looks.
 */
export function replayTicks(setup: JudgeSetup, looks: Iterable<Look>): ReplayResult | null {
  let state = judge.start(setup);
  let result: ReplayResult | null = null;
  let canaryRequests = 0;
  let failedRequests = 0;
  let count = 0;
  let at: number | null = null;
  for (const look of looks) {
    const next = judge.look(setup, state, look);
    state = next.state;
    const own = countsOf(look.tick, setup.canary);
    canaryRequests += own.requests;
    failedRequests += own.errors;
    at = look.tick?.t ?? at;
    result = { judgement: next.judgement, at, looks: ++count, canaryRequests, failedRequests };
    if (FINAL.has(next.judgement.verdict)) return result;
  }
  return result;
}

function countsOf(tick: Tick | null, version: string): { requests: number; errors: number } {
  const rows = own(tick?.versions, version);
  let requests = 0;
  let errors = 0;
  if (Array.isArray(rows)) {
    for (const row of rows) {
      if (row?.requests > 0) requests += row.requests;
      if (row?.errors > 0) errors += row.errors;
    }
  }
  return { requests, errors };
}

/** Recorded ticks as looks at one step: the interval of each is the time since the one before. */
export function looksOf(ticks: readonly Tick[], stepIndex: number, weightBp: number): Look[] {
  return ticks.map((tick, i) => {
    const before = ticks[i - 1];
    const since = before === undefined ? tick.dtMs : (tick.t - before.t) * 1000;
    return { dtMs: since > 0 ? since : tick.dtMs, tick, stepIndex, weightBp };
  });
}

/** The usual distance of ticks in ms: the median of the rising ones, `fallbackMs` when there is none. */
export function typicalStepMs(times: readonly number[], fallbackMs: number): number {
  const gaps: number[] = [];
  for (let i = 1; i < times.length; i++) {
    const gap = (times[i]! - times[i - 1]!) * 1000;
    if (Number.isFinite(gap) && gap > 0) gaps.push(gap);
  }
  gaps.sort((a, b) => a - b);
  return gaps[gaps.length >> 1] ?? fallbackMs;
}

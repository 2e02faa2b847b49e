import type { Json } from '../ledger/record.ts';
import type { Tick } from '../metrics/tick.ts';
import type { PolicySpec, WeightBp } from '../spec/model.ts';

export type Verdict = 'rollback' | 'advance' | 'continue' | 'hold' | 'pod-fault' | 'inconclusive';

/** Which rule demanded a rollback. */
export type RollbackSpeed = 'instant' | 'statistical' | 'sustained' | 'no-data';

/**
 * The version of the method: what the same looks come to. It stands in the record of every release, because a release can
 * only be judged again by the method that judged it. 1: until release 0.1; 2: see docs/judge.md, "Versions of the method".
 */
export const METHOD = 2;

/** What is fixed for a whole release. */
export interface JudgeSetup {
  policy: PolicySpec;
  stable: string;
  canary: string;
  /** Stable's traffic before the release, when known: tunes bets, fixes latency edges and dispersion from the start. */
  history?: StableHistory;
  /** `off`: evidence is not capped per canary instance (for failures known to be independent). Default `auto`. */
  guard?: 'auto' | 'off';
}

/** Counts of stable's recent past, e.g. of the hour before the release. */
export interface StableHistory {
  requests: number;
  errors: number;
  /** Must equal the ticks' edges, else the history is ignored. */
  edges: number[];
  over: number[];
  /** Sums of the dispersion estimate of the day before. */
  dispersion?: { a: number; b: number };
  /** Fading moments of the ten-minute rates, for errors and then for each edge. */
  blocks?: { weight: number; rates: number[]; squares: number[] };
  /** What stable's instances differ by. */
  spread?: { instances: number; weights: number[]; variances: number[] };
}

/** One look. `tick` is null when the source gave nothing usable, `problem` says why. */
export interface Look {
  /** Time since the previous look, ms, monotonic. */
  dtMs: number;
  tick: Tick | null;
  problem?: string;
  stepIndex: number;
  weightBp: WeightBp;
  /**
   * Why `weightBp` is not the decided weight, or is not known to be in force. Harm is looked for; for everything else the look
   * counts as one without data.
   */
  unconfirmed?: string;
  /** A person paused the release: harm is looked for, no clock of the step runs. */
  paused?: boolean;
  /** Requests that a forecast expects in this interval, both versions together; advisory. */
  forecastRequests?: number;
}

export interface MetricEvidence {
  /** `errors`, `latency`, `absolute-errors`, `absolute-p95`, `split`, … */
  name: string;
  /** e-value and the share of the evidence budget it carries. */
  evidence: number;
  weight: number;
  /** weight * evidence >= 1/alpha: named at familywise level. */
  named: boolean;
  /** What was measured, for people: rates in shares, counts. */
  canary: { requests: number; events: number } | null;
  stable: { requests: number; events: number } | null;
  says: string;
}

export interface Judgement {
  verdict: Verdict;
  speed: RollbackSpeed | null;
  /** One plain sentence: why this verdict. */
  reason: string;
  /** Weighted sum of evidence and the threshold 1/alpha. */
  evidence: { total: number; threshold: number; metrics: MetricEvidence[] };
  promote: {
    passed: boolean;
    /** Smallest proven bound on excess errors (share), null when nothing is proven. */
    harmBoundShare: number | null;
    /** Canary requests and time still needed, at current traffic; null when unknown or none. */
    needRequests: number | null;
    needMs: number | null;
  };
  /** Observed time at this step's weight, ms. */
  heldMs: number;
  /** The instance to replace when the verdict is `pod-fault`. */
  instance: string | null;
}

/** Plain JSON, kilobytes; opaque to other rooms. */
export type JudgeState = { [key: string]: Json };

/** The judge as the release machine sees it: pure functions, no clock, no I/O. */
export interface Judge {
  start(setup: JudgeSetup): JudgeState;
  /** Evidence is kept, the step's promotion gate and hold start afresh. */
  enterStep(setup: JudgeSetup, state: JudgeState, stepIndex: number): JudgeState;
  look(setup: JudgeSetup, state: JudgeState, look: Look): { state: JudgeState; judgement: Judgement };
  /**
   * What became of an instance that was found at fault. `gone`: it was replaced or gets no requests any more, and its evidence
   * goes with it. `stays`: nothing can be done about it, so its failures are the version's like any others.
   */
  instanceFate(setup: JudgeSetup, state: JudgeState, instance: string, fate: 'gone' | 'stays'): JudgeState;
}

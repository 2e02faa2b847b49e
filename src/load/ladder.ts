import type { LoadResult } from './result.ts';

/** What a rate must fulfil to be carried. */
export interface LadderLimits {
  p99Ms: number;
  errorShare: number;
  /** Share of the offered rate that must be answered in time. */
  achievedShare: number;
}

export const ladderDefaults: LadderLimits = { p99Ms: 1_000, errorShare: 0.001, achievedShare: 0.99 };

export interface LadderStep {
  ratePerSecond: number;
  result: LoadResult;
}

export type StepJudgement =
  | { carried: true }
  /** `spoiled`: the generator could not offer this rate, so nothing is known about the service. */
  | { carried: false; why: string; spoiled: boolean };

export function judgeStep({ ratePerSecond, result }: LadderStep, limits: LadderLimits): StepJudgement {
  if (result.validity.verdict === 'INVALID') {
    return { carried: false, spoiled: true, why: `INVALID: ${result.validity.reasons.join('; ')}` };
  }
  const no = (why: string): StepJudgement => ({ carried: false, spoiled: false, why });
  const { requests, ok } = result.counts;
  const achieved = result.achievedPerSecond / Math.max(result.offeredPerSecond, Number.MIN_VALUE);
  if (achieved < limits.achievedShare) {
    return no(`${result.achievedPerSecond.toFixed(0)}/s of ${ratePerSecond}/s were answered in time`);
  }
  const failedShare = requests === 0 ? 1 : (requests - ok) / requests;
  if (failedShare > limits.errorShare) return no(`${(100 * failedShare).toFixed(2)} % failed`);
  const p99Ms = result.response.quantiles.p99.ms;
  if (p99Ms > limits.p99Ms) return no(`p99 is ${p99Ms.toFixed(1)} ms`);
  return { carried: true };
}

/**
 * The next rate to try: up by half until one is not carried, then between the highest carried and the lowest that was not,
 * until they are within 10 %. Null when the knee is known, or when `maxPerSecond` is carried.
 */
export function nextRate(
  steps: readonly LadderStep[],
  options: { startPerSecond: number; maxPerSecond: number; limits: LadderLimits },
): number | null {
  const { startPerSecond, maxPerSecond, limits } = options;
  if (steps.length === 0) return startPerSecond;
  const carried = Math.max(
    0,
    ...steps.filter((step) => judgeStep(step, limits).carried).map((step) => step.ratePerSecond),
  );
  const refused = Math.min(
    Number.POSITIVE_INFINITY,
    ...steps.filter((step) => !judgeStep(step, limits).carried).map((step) => step.ratePerSecond),
  );
  if (refused === Number.POSITIVE_INFINITY)
    return carried >= maxPerSecond ? null : Math.min(maxPerSecond, Math.ceil(carried * 1.5));
  if (carried === 0) return refused <= 1 ? null : Math.max(1, Math.floor(refused / 2));
  return refused / carried <= 1.1 || refused - carried <= 1 ? null : Math.floor((carried + refused) / 2);
}

export interface Knee {
  /** Highest rate that was carried; null when none was. */
  ratedPerSecond: number | null;
  /** Lowest rate that was not, and why; null when the ladder ended before. */
  beyond: { ratePerSecond: number; why: string; spoiled: boolean } | null;
}

export function kneeOf(steps: readonly LadderStep[], limits: LadderLimits): Knee {
  const judged = steps.map((step) => ({ step, judgement: judgeStep(step, limits) }));
  const carried = judged.filter(({ judgement }) => judgement.carried).map(({ step }) => step.ratePerSecond);
  const lowest = judged
    .flatMap(({ step, judgement }) =>
      judgement.carried ? [] : [{ ratePerSecond: step.ratePerSecond, why: judgement.why, spoiled: judgement.spoiled }],
    )
    .sort((a, b) => a.ratePerSecond - b.ratePerSecond)[0];
  return { ratedPerSecond: carried.length === 0 ? null : Math.max(...carried), beyond: lowest ?? null };
}

export interface OverloadRow {
  share: number;
  offeredPerSecond: number;
  goodPerSecond: number;
  /** Good answers as a share of the rated load. */
  goodput: number;
  verdict: 'PASS' | 'FAIL' | 'INVALID';
  reasons: string[];
}

/** Beyond its rated load a service must keep 90 % of it, keep what it admits within the limit, and shed the rest quickly. */
export function judgeOverload(
  share: number,
  ratedPerSecond: number,
  result: LoadResult,
  limits: LadderLimits,
): OverloadRow {
  const seconds = (result.durationMs - result.warmupMs) / 1000;
  const goodPerSecond = result.counts.ok / Math.max(seconds, 0.001);
  const goodput = goodPerSecond / ratedPerSecond;
  const row = { share, offeredPerSecond: result.offeredPerSecond, goodPerSecond, goodput };
  if (result.validity.verdict === 'INVALID') return { ...row, verdict: 'INVALID', reasons: result.validity.reasons };
  const p99Ms = result.response.quantiles.p99.ms;
  const reasons = [
    ...(goodput < 0.9 ? [`only ${(100 * goodput).toFixed(0)} % of the rated load were answered well`] : []),
    ...(p99Ms > limits.p99Ms ? [`p99 is ${p99Ms.toFixed(0)} ms`] : []),
  ];
  return { ...row, verdict: reasons.length === 0 ? 'PASS' : 'FAIL', reasons };
}

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

/** `unknown`: the generator shaped the figures that would have told, so nothing is known about the service. */
export type StepJudgement = { carried: true } | { carried: false | 'unknown'; why: string };

/**
 * Whether the service carried a rate. What the generator adds can only make it look worse: a rate that was offered and answered within all
 * limits was carried, however late or busy the generator was. A limit that was broken speaks against the service only when the figure stands.
 */
export function judgeStep({ ratePerSecond, result }: LadderStep, limits: LadderLimits): StepJudgement {
  const { validity, response, counts } = result;
  const own = ownCauses(result);
  const broken = (why: string): StepJudgement =>
    own.length === 0 ? { carried: false, why } : { carried: 'unknown', why: `${why}; INVALID: ${own.join('; ')}` };
  if (validity.causes.includes('nothing-sent')) return { carried: 'unknown', why: 'nothing was sent' };
  const achieved = result.achievedPerSecond / Math.max(result.offeredPerSecond, Number.MIN_VALUE);
  if (achieved < limits.achievedShare) {
    return broken(`${result.achievedPerSecond.toFixed(0)}/s of ${ratePerSecond}/s were answered in time`);
  }
  if (validity.causes.includes('dropped')) return broken(validity.reasons.join('; '));
  const failedShare = counts.requests === 0 ? 1 : (counts.requests - counts.ok) / counts.requests;
  if (failedShare > limits.errorShare) return broken(`${(100 * failedShare).toFixed(2)} % failed`);
  const { ms, lowMs, sound } = response.quantiles.p99;
  if (ms === null) return broken('no request was answered');
  if (ms <= limits.p99Ms) return { carried: true };
  const why = `p99 is ${ms.toFixed(1)} ms`;
  if (sound || lowMs! > limits.p99Ms) return broken(why);
  return { carried: 'unknown', why: `${why}, to which the generator's lateness may have added too much` };
}

/** What the generator did itself. That it dropped what found too many waiting, and that nobody answered, is the service's doing. */
function ownCauses({ validity }: LoadResult): string[] {
  return validity.reasons.filter((_, i) => ['late', 'busy', 'local'].includes(validity.causes[i]!));
}

/** A rate of which nothing is known is tried this often before the ladder takes it for the generator's own limit. */
const triesMax = 3;

export interface LadderOptions {
  startPerSecond: number;
  maxPerSecond: number;
  limits: LadderLimits;
}

/** What a ladder knows so far. */
interface Known {
  /** Highest rate that was carried; 0 when none was. */
  carried: number;
  /** Lowest rate above it that was not, and lowest that the generator could not judge in all its tries. */
  refused: number;
  ceiling: number;
  /** A rate to be tried again. */
  again: number | null;
}

function knownOf(steps: readonly LadderStep[], limits: LadderLimits): Known {
  const tries = new Map<number, StepJudgement['carried'][]>();
  for (const step of steps) {
    tries.set(step.ratePerSecond, [...(tries.get(step.ratePerSecond) ?? []), judgeStep(step, limits).carried]);
  }
  const rates = (is: (found: StepJudgement['carried'][]) => boolean): number[] =>
    [...tries].filter(([, found]) => is(found)).map(([rate]) => rate);
  const isUnknown = (found: StepJudgement['carried'][]): boolean => found.every((one) => one === 'unknown');
  const carried = Math.max(0, ...rates((found) => found.includes(true)));
  const above = (list: number[]): number =>
    Math.min(Number.POSITIVE_INFINITY, ...list.filter((rate) => rate > carried));
  return {
    carried,
    refused: above(rates((found) => !found.includes(true) && found.includes(false))),
    ceiling: above(rates((found) => isUnknown(found) && found.length >= triesMax)),
    again: rates((found) => isUnknown(found) && found.length < triesMax)[0] ?? null,
  };
}

/**
 * The next rate to try: up by half until one is not carried, then between the highest carried and the lowest that was not,
 * until they are within 10 %. One of which nothing is known is tried again first. Null when there is nothing more to learn.
 */
export function nextRate(steps: readonly LadderStep[], options: LadderOptions): number | null {
  const { startPerSecond, maxPerSecond, limits } = options;
  if (steps.length === 0) return startPerSecond;
  const { carried, refused, ceiling, again } = knownOf(steps, limits);
  if (again !== null) return again;
  const top = Math.min(refused, ceiling);
  if (top === Number.POSITIVE_INFINITY)
    return carried >= maxPerSecond ? null : Math.min(maxPerSecond, Math.ceil(carried * 1.5));
  if (carried === 0) return top <= 1 ? null : Math.max(1, Math.floor(top / 2));
  return isClose(carried, top) ? null : Math.floor((carried + top) / 2);
}

const isClose = (carried: number, top: number): boolean => top / carried <= 1.1 || top - carried <= 1;

interface Beyond {
  ratePerSecond: number;
  why: string;
}

/**
 * Where a ladder ended. `knee`: `ratedPerSecond` is carried, and a rate within 10 % of it is not. `max`: the highest rate that was asked for is
 * carried. `at-least`: it is carried, and more is not known. `nothing`: no rate was carried; `beyond` says why the lowest was not.
 */
export interface Knee {
  found: 'knee' | 'max' | 'at-least' | 'nothing';
  /** Highest rate that was carried; null when none was. */
  ratedPerSecond: number | null;
  /** Lowest rate that was not, and why; null when there was none. */
  beyond: Beyond | null;
  /** Lowest rate that the generator could not judge, and why. */
  unknown: Beyond | null;
}

export function kneeOf(steps: readonly LadderStep[], { limits, maxPerSecond }: LadderOptions): Knee {
  const { carried, refused } = knownOf(steps, limits);
  const rated = carried === 0 ? null : carried;
  const beyondOf = (what: false | 'unknown'): Beyond | null =>
    steps
      .flatMap((step) => {
        const judgement = judgeStep(step, limits);
        if (judgement.carried !== what || step.ratePerSecond <= carried) return [];
        return [{ ratePerSecond: step.ratePerSecond, why: judgement.why }];
      })
      .sort((a, b) => a.ratePerSecond - b.ratePerSecond)[0] ?? null;
  const known = { ratedPerSecond: rated, beyond: beyondOf(false), unknown: beyondOf('unknown') };
  if (rated === null) return { found: 'nothing', ...known };
  if (isClose(rated, refused)) return { found: 'knee', ...known };
  return { found: rated >= maxPerSecond ? 'max' : 'at-least', ...known };
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
  const { ms, lowMs, sound } = result.response.quantiles.p99;
  const late = ms !== null && ms > limits.p99Ms;
  const reasons = [
    ...(goodput < 0.9 ? [`only ${(100 * goodput).toFixed(0)} % of the rated load were answered well`] : []),
    ...(late ? [`p99 is ${ms.toFixed(0)} ms`] : []),
    ...(result.validity.causes.includes('dropped') ? [`${result.dropped} requests found too many waiting`] : []),
  ];
  if (reasons.length === 0) return { ...row, verdict: 'PASS', reasons };
  const own = ownCauses(result);
  const onlyLate = reasons.length === 1 && late && !sound && lowMs! <= limits.p99Ms;
  return { ...row, verdict: own.length > 0 || onlyLate ? 'INVALID' : 'FAIL', reasons: [...own, ...reasons] };
}

import { classify, JUDGE_SETTINGS } from './mann-whitney.ts';
import { intervals, type Rule } from './rule.ts';

const MIN_POINTS = 50;

/**
 * Kayenta's NetflixACAJudge on one metric, error per cent per minute, against a fresh baseline of the canary's size (its
 * documented best practice: at least 50 points, percentages because its solver's tolerance is absolute). One critical
 * metric classified High fails the canary.
 * `hourly`: a growing window judged every hour, first at 50 points. `sliding`: the last 60 minutes, judged every minute.
 */
export function kayenta(mode: 'hourly' | 'sliding'): Rule {
  const perMinute = intervals(60);
  const canary: number[] = [];
  const baseline: number[] = [];
  let minutes = 0;
  return {
    look(counts) {
      const minute = perMinute(counts);
      if (minute === null) return false;
      minutes++;
      // A minute without requests has no error rate: NaN, removed by the judge's default.
      if (minute.nc > 0) canary.push((100 * minute.xc) / minute.nc);
      if (minute.nb > 0) baseline.push((100 * minute.xb) / minute.nb);
      if (mode === 'sliding') {
        if (canary.length > 60) canary.shift();
        if (baseline.length > 60) baseline.shift();
      }
      if (canary.length < MIN_POINTS || (mode === 'hourly' && minutes % 60 !== 0 && canary.length !== MIN_POINTS))
        return false;
      // effectSize: the ratio of means must reach allowedIncrease, 1 by default; NaN passes.
      return classify(canary, baseline, JUDGE_SETTINGS) === 'high' && !(mean(canary) / mean(baseline) < 1);
    },
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

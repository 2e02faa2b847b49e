import { type Counts, intervals, type Rule } from './rule.ts';

/**
 * Argo Rollouts (argoproj/argo-rollouts, analysis/analysis.go): a measurement fails when its success condition is false
 * (NaN compares false); the analysis fails when more than `failureLimit` measurements have failed, counted over the whole run.
 * `irate` looks at the last two samples, here the last tick. Documented example: every 5 m, success >= 0.95, limit 3.
 */
export function argo({ everySeconds = 60, minSuccess = 0.99, failureLimit = 3 } = {}): Rule {
  const whole = intervals(everySeconds);
  let failed = 0;
  return {
    look(last: Counts) {
      if (whole(last) === null) return false;
      if (!(1 - last.xc / last.nc >= minSuccess)) failed++;
      return failed > failureLimit;
    },
  };
}

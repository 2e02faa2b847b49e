import { intervals, type Rule } from './rule.ts';

/**
 * Flagger (fluxcd/flagger, pkg/controller/scheduler.go): each interval a metric is queried over its window; outside its
 * range, or without data, one more check has failed. Failed checks are never taken back within a rollout; `threshold` of
 * them roll back. Documented values: request-success-rate min 99, interval 1 m, threshold 5.
 */
export function flagger({ maxErrorShare = 0.01, threshold = 5 } = {}): Rule {
  const perMinute = intervals(60);
  let failed = 0;
  return {
    look(counts) {
      const minute = perMinute(counts);
      if (minute === null) return false;
      if (minute.nc === 0 || minute.xc > maxErrorShare * minute.nc) failed++;
      return failed >= threshold;
    },
  };
}

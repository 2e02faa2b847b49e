import { classify, JUDGE_SETTINGS } from './mann-whitney.ts';
import { intervals, type Rule } from './rule.ts';

const MIN_POINTS = 50;

export type KayentaMode = 'hourly' | 'sliding';

/**
 * Kayenta's NetflixACAJudge on one metric, error per cent per minute, against a fresh baseline of the canary's size (its
 * documented best practice: at least 50 points, percentages because its solver's tolerance is absolute). One critical
 * metric classified High fails the canary.
 * `hourly`: a growing window judged every hour, first at 50 points. `sliding`: the last 60 minutes, judged every minute.
 */
export function kayenta(mode: KayentaMode): Rule {
  const perMinute = intervals(60);
  const judged = minutesJudged(mode);
  return {
    look(counts) {
      const minute = perMinute(counts);
      if (minute === null) return false;
      // A minute without requests has no error rate: NaN, removed by the judge's default.
      return judged(
        minute.nc > 0 ? (100 * minute.xc) / minute.nc : null,
        minute.nb > 0 ? (100 * minute.xb) / minute.nb : null,
      );
    },
  };
}

/** What one arm showed of its latency: its requests, and those slower than each edge. */
export interface Slowness {
  requests: number;
  over: readonly number[];
}

/** The same judge on the p95 of each minute in ms, read from buckets as Prometheus' `histogram_quantile` does. */
export function kayentaOnP95(
  mode: KayentaMode,
  edges: readonly number[],
): { look(dt: number, canary: Slowness, baseline: Slowness): boolean } {
  const judged = minutesJudged(mode);
  const arms = [empty(edges), empty(edges)] as const;
  let seconds = 0;
  return {
    look(dt, canary, baseline) {
      seconds += dt;
      addTo(arms[0], canary);
      addTo(arms[1], baseline);
      if (seconds < 60) return false;
      const [p95, control] = [bucketQuantile(arms[0], edges, 0.95), bucketQuantile(arms[1], edges, 0.95)];
      seconds = 0;
      for (const arm of arms) {
        arm.requests = 0;
        arm.over.fill(0);
      }
      return judged(p95, control);
    },
  };
}

/** Takes a point of either arm per minute (null: none) and says when the canary fails. */
function minutesJudged(mode: KayentaMode): (canary: number | null, baseline: number | null) => boolean {
  const canary: number[] = [];
  const baseline: number[] = [];
  let minutes = 0;
  return (canaryPoint, baselinePoint) => {
    minutes++;
    if (canaryPoint !== null) canary.push(canaryPoint);
    if (baselinePoint !== null) baseline.push(baselinePoint);
    if (mode === 'sliding') {
      if (canary.length > 60) canary.shift();
      if (baseline.length > 60) baseline.shift();
    }
    if (canary.length < MIN_POINTS || (mode === 'hourly' && minutes % 60 !== 0 && canary.length !== MIN_POINTS))
      return false;
    // effectSize: the ratio of means must reach allowedIncrease, 1 by default; NaN passes.
    return classify(canary, baseline, JUDGE_SETTINGS) === 'high' && !(mean(canary) / mean(baseline) < 1);
  };
}

interface Sum {
  requests: number;
  over: number[];
}

function empty(edges: readonly number[]): Sum {
  return { requests: 0, over: edges.map(() => 0) };
}

function addTo(sum: Sum, { requests, over }: Slowness): void {
  sum.requests += requests;
  for (let i = 0; i < over.length; i++) sum.over[i]! += over[i]!;
}

/** Linear within the bucket; the highest edge for what lies above it; null without requests. */
function bucketQuantile({ requests, over }: Sum, edges: readonly number[], quantile: number): number | null {
  if (requests === 0) return null;
  const slower = (1 - quantile) * requests;
  const at = over.findIndex((count) => count <= slower);
  if (at === -1) return edges[edges.length - 1]!;
  const [from, above] = at === 0 ? [0, requests] : [edges[at - 1]!, over[at - 1]!];
  return from + (edges[at]! - from) * ((above - slower) / (above - over[at]!));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

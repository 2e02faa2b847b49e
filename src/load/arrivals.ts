import type { LoadStage } from './plan.ts';

/**
 * Arrival times in ms from the start, ascending; null after the last stage. A Poisson process of changing rate is a unit
 * process on the time scale of the cumulative rate (Cinlar, Introduction to Stochastic Processes, 1975, ch. 4.7), so each
 * arrival is one exponential (or, for `uniform`, exactly 1) further on that scale.
 */
export function createArrivals(
  kind: 'poisson' | 'uniform',
  stages: readonly LoadStage[],
  random: () => number,
): () => number | null {
  let index = 0;
  let stageStartMs = 0;
  /** Expected arrivals since the start of the current stage at the last arrival. */
  let done = 0;
  return () => {
    done += kind === 'uniform' ? 1 : -Math.log1p(-random());
    for (; index < stages.length; index++) {
      const stage = stages[index]!;
      const expected = expectedIn(stage);
      if (done < expected) return stageStartMs + timeOf(done, stage);
      done -= expected;
      stageStartMs += stage.durationMs;
    }
    return null;
  };
}

/** Expected number of arrivals of the whole stage. */
export function expectedIn(stage: LoadStage): number {
  return ((stage.fromPerSecond + stage.toPerSecond) / 2) * (stage.durationMs / 1000);
}

/** Solves r0*t + (r1-r0)*t^2/(2d) = count for t; the form with the root in the denominator is stable for r1 near r0. */
function timeOf(count: number, stage: LoadStage): number {
  const r0 = stage.fromPerSecond / 1000;
  const slope = (stage.toPerSecond - stage.fromPerSecond) / 1000 / stage.durationMs;
  const root = Math.sqrt(Math.max(0, r0 * r0 + 2 * slope * count));
  return Math.min(stage.durationMs, (2 * count) / (r0 + root));
}

/** Picks an index with probability proportional to its weight. */
export function createPick(weights: readonly number[], random: () => number): () => number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (weights.length === 1) return () => 0;
  return () => {
    let rest = random() * total;
    const index = weights.findIndex((weight) => {
      rest -= weight;
      return rest < 0;
    });
    return index === -1 ? weights.length - 1 : index;
  };
}

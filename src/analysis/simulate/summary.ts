import type { RollbackSpeed } from '../judge.ts';
import type { ReleaseOutcome } from './release.ts';

/** What a policy does to a traffic, over many simulated releases. */
export interface Summary {
  runs: number;
  /** Rolled back before there was any harm, with the upper end of its 95 % interval (Wilson). */
  falseRollback: { share: number; upTo: number; byRule: Partial<Record<RollbackSpeed, number>> };
  /** Rolled back after the harm began; times count from its onset. */
  caught: { share: number; medianMs: number | null; p95Ms: number | null; medianFailed: number | null };
  promoted: { share: number; medianMs: number | null };
  inconclusive: { share: number };
  /** Mean failed canary requests beyond stable's rate. */
  excessFailed: number;
  /** Instances found at fault, per release. */
  instanceFaults: number;
}

export function summarise(outcomes: readonly ReleaseOutcome[], onsetMs: number): Summary {
  const runs = outcomes.length;
  const falsely = outcomes.filter((one) => one.falsely);
  const caught = outcomes.filter((one) => one.end === 'rolled-back' && !one.falsely);
  const promoted = outcomes.filter((one) => one.end === 'promoted');
  const delays = caught.map((one) => one.atMs - onsetMs);
  const mean = (pick: (one: ReleaseOutcome) => number): number =>
    runs === 0 ? 0 : outcomes.reduce((sum, one) => sum + pick(one), 0) / runs;
  return {
    runs,
    falseRollback: {
      share: falsely.length / Math.max(1, runs),
      upTo: wilsonUpper(falsely.length, runs),
      byRule: byRule(falsely),
    },
    caught: {
      share: caught.length / Math.max(1, runs),
      medianMs: quantile(delays, 0.5),
      p95Ms: quantile(delays, 0.95),
      medianFailed: quantile(
        caught.map((one) => one.excessFailed),
        0.5,
      ),
    },
    promoted: {
      share: promoted.length / Math.max(1, runs),
      medianMs: quantile(
        promoted.map((one) => one.atMs),
        0.5,
      ),
    },
    inconclusive: { share: outcomes.filter((one) => one.end === 'inconclusive').length / Math.max(1, runs) },
    excessFailed: mean((one) => one.excessFailed),
    instanceFaults: mean((one) => one.instanceFaults),
  };
}

/** How many rolled back by which rule. */
function byRule(outcomes: readonly ReleaseOutcome[]): Partial<Record<RollbackSpeed, number>> {
  const counts: Partial<Record<RollbackSpeed, number>> = {};
  for (const { speed } of outcomes) if (speed !== null) counts[speed] = (counts[speed] ?? 0) + 1;
  return counts;
}

/** The value at a rank of a sample, null when it is empty. */
export function quantile(values: readonly number[], q: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(q * sorted.length) - 1))]!;
}

/** Upper end of Wilson's 95 % interval of a share (Wilson 1927). */
export function wilsonUpper(events: number, n: number): number {
  if (n === 0) return 1;
  const z = 1.96;
  const p = events / n;
  const centre = p + (z * z) / (2 * n);
  const half = z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n));
  return Math.min(1, (centre + half) / (1 + (z * z) / n));
}

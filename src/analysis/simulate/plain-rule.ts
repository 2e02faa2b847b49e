import { own } from '../../lib/own.ts';
import type { Tick } from '../../metrics/tick.ts';
import type { PolicySpec } from '../../spec/model.ts';
import { limitEdge } from '../edges.ts';
import type { TrafficSetup } from './traffic.ts';

export type PlainVerdict = 'continue' | 'rollback' | 'promoted';

/**
 * The plain threshold rule on the same policy: a limit above which every look of `sustained` lies rolls back, and a hold
 * without that promotes. No comparison, no sample sizes, no proof.
 */
export function plainRule(
  policy: PolicySpec,
  { canary }: Pick<TrafficSetup, 'canary'>,
): { weightBp(): number; look(tick: Tick, dtMs: number): PlainVerdict } {
  let step = 0;
  let heldMs = 0;
  let brokenMs: number[] = [];
  return {
    weightBp: () => policy.steps[step]!.weightBp,
    look(tick, dtMs) {
      const { holdMs, limits } = policy.steps[step]!;
      const rows = own(tick.versions, canary) ?? [];
      let requests = 0;
      let errors = 0;
      for (const row of rows) {
        requests += row.requests;
        errors += row.errors;
      }
      const broken = [limits.errorShare !== null && errors > limits.errorShare * requests];
      for (const limit of limits.latency) {
        const edge = limitEdge(tick.edges, limit.underMs);
        const over = edge === null ? 0 : rows.reduce((sum, row) => sum + row.over[edge.index]!, 0);
        broken.push(over > (1 - limit.quantile) * requests);
      }
      brokenMs = broken.map((is, i) => (is ? (brokenMs[i] ?? 0) + dtMs : 0));
      if (brokenMs.some((ms) => ms >= policy.sustainedMs)) return 'rollback';
      heldMs += dtMs;
      if (heldMs < holdMs) return 'continue';
      heldMs = 0;
      brokenMs = [];
      step++;
      return step === policy.steps.length ? 'promoted' : 'continue';
    },
  };
}

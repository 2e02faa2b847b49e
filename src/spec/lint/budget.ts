import { formatDurationMs, formatShare } from '../../lib/units.ts';
import type { Finding } from '../finding.ts';
import type { PolicySpec } from '../model.ts';
import { type LintContext, releases, warningFinding } from './lint.ts';
import { specWarnings } from './warnings.ts';

/** The worst that one bad release costs before a declared rule ends it: full-failure time at full traffic, and how it comes about. */
interface Cost {
  failureMs: number;
  says: string;
}

/** An availability target leaves room for at least one bad release. */
export function lintBudget({ spec, at }: LintContext): Finding[] {
  return releases(spec).flatMap(({ service, policy }) =>
    service.objectives.flatMap((objective, index) => {
      if (objective.kind !== 'availability') return [];
      const budgetMs = objective.windowMs * (1 - objective.targetShare);
      const cost = worstCost(policy);
      if (cost.failureMs <= budgetMs) return [];
      const sentence =
        `services.${service.name}: ${formatShare(objective.targetShare)} over ${formatDurationMs(objective.windowMs)} leaves ` +
        `${formatDurationMs(rounded(budgetMs))} of failure; ${cost.says} costs ${formatShare(cost.failureMs / budgetMs, 0)} of it`;
      return [
        warningFinding(
          specWarnings['target-below-rollback'],
          sentence,
          at(['services', service.name, 'objectives', index, 'target']),
        ),
      ];
    }),
  );
}

/**
 * The statistics usually act earlier, but only these rules have a time that is declared. A failure at or above `instant.errors`
 * lasts `over`; anything below it lasts `sustained`. Weights end at 100 %, so both are counted at full traffic.
 */
function worstCost(policy: PolicySpec): Cost {
  const { instant, sustainedMs } = policy;
  if (!instant)
    return {
      failureMs: sustainedMs,
      says: `one total failure until \`sustained\` (${formatDurationMs(sustainedMs)}) ends it`,
    };
  const gross = {
    failureMs: instant.overMs,
    says: `one total failure until \`instant\` (${formatDurationMs(instant.overMs)}) ends it`,
  };
  const partial = {
    failureMs: sustainedMs * instant.errorShare,
    says: `${formatShare(instant.errorShare)} of failures, just below \`instant\`, until \`sustained\` (${formatDurationMs(sustainedMs)}) ends them`,
  };
  return gross.failureMs >= partial.failureMs ? gross : partial;
}

/** To 100 ms where that is enough. */
function rounded(durationMs: number): number {
  return durationMs < 10_000 ? durationMs : Math.round(durationMs / 100) * 100;
}

import type { Finding } from '../finding.ts';
import { lintEndpoints, lintPorts } from './addresses.ts';
import { lintBudget } from './budget.ts';
import { lintExperiments } from './chaos.ts';
import { lintHealth, lintProbe } from './health.ts';
import type { Lint, LintContext } from './lint.ts';
import { lintDuplicates, lintNames, lintUnusedPolicies } from './names.ts';
import {
  lintInstantSamples,
  lintLimitSamples,
  lintMargins,
  lintObjectiveSamples,
  lintPromotionSamples,
} from './samples.ts';
import { lintHolds, lintInstant, lintLimits, lintLook, lintWeights } from './steps.ts';
import { lintStickyCookies } from './sticky.ts';
import { lintCanaryHeader, lintDrain, lintEjection, lintMirror, lintTries } from './traffic.ts';

const lints: Lint[] = [
  lintNames,
  lintDuplicates,
  lintUnusedPolicies,
  lintPorts,
  lintEndpoints,
  lintCanaryHeader,
  lintTries,
  lintDrain,
  lintMirror,
  lintEjection,
  lintStickyCookies,
  lintHealth,
  lintProbe,
  lintWeights,
  lintLook,
  lintHolds,
  lintLimits,
  lintInstant,
  lintMargins,
  lintPromotionSamples,
  lintLimitSamples,
  lintInstantSamples,
  lintObjectiveSamples,
  lintBudget,
  lintExperiments,
];

/** Runs every lint over a normalised spec; findings in the order of the file. */
export function lintSpec(context: LintContext): Finding[] {
  return lints.flatMap((lint) => lint(context)).toSorted(byPosition);
}

function byPosition(a: Finding, b: Finding): number {
  return (a.position?.line ?? 0) - (b.position?.line ?? 0) || (a.position?.column ?? 0) - (b.position?.column ?? 0);
}

import type { Finding } from '../finding.ts';
import { lintEndpoints, lintPorts } from './addresses.ts';
import type { Lint, LintContext } from './lint.ts';
import { lintNames } from './names.ts';
import { lintWeights } from './steps.ts';

const lints: Lint[] = [lintNames, lintPorts, lintEndpoints, lintWeights];

/** Runs every lint over a normalised spec. */
export function lintSpec(context: LintContext): Finding[] {
  return lints.flatMap((lint) => lint(context));
}

import { wilson95 } from '../analysis/proportion.ts';
import type { ReleaseView } from '../release/view.ts';

/** What `davy demo --once -o json` prints beside its schemaVersion. Shares are fractions 0..1. */
export interface DemoOutcome {
  releases: {
    id: string;
    service: string;
    version: string;
    outcome: string;
    /** Which rule rolled it back; null for a completed release. */
    speed: string | null;
    secondsToZero: number | null;
    canaryRequests: number;
    failedRequests: number;
    reason: string;
  }[];
  split: { weight: number; observed: number; low: number; high: number; requests: number };
  headerRoute: { ok: boolean };
  ledger: { size: number; root: string; verified: boolean };
}

export function releaseLine(view: ReleaseView): DemoOutcome['releases'][number] {
  return {
    id: view.id,
    service: view.service,
    version: view.version,
    outcome: view.phase,
    speed: view.rollbackCause,
    secondsToZero: view.secondsToZero,
    canaryRequests: view.canaryRequests,
    failedRequests: view.failedRequests,
    reason: view.endReason ?? '',
  };
}

/** The measured split at the step below 100 % that saw the most requests, with its 95 % interval. */
export function splitOf(view: ReleaseView): DemoOutcome['split'] {
  const steps = view.counts.filter((step) => step.weightBp < 10_000);
  const total = (step: (typeof steps)[number]): number => step.canaryRequests + step.stableRequests;
  const step = steps.toSorted((a, b) => total(b) - total(a))[0];
  if (!step || total(step) === 0) return { weight: 0, observed: 0, low: 0, high: 1, requests: 0 };
  const requests = total(step);
  return {
    weight: step.weightBp / 10_000,
    observed: step.canaryRequests / requests,
    ...wilson95(step.canaryRequests, requests),
    requests,
  };
}

/** What did not go as it should, in sentences; empty when everything did. */
export function shortcomings(outcome: DemoOutcome): string[] {
  const [good, bad] = outcome.releases;
  const { split } = outcome;
  const problems: string[] = [];
  if (good?.outcome !== 'completed')
    problems.push(`the good version ended as ${good?.outcome ?? 'nothing'}: ${good?.reason}`);
  if (bad?.outcome !== 'rolled-back')
    problems.push(`the bad version ended as ${bad?.outcome ?? 'nothing'}: ${bad?.reason}`);
  if (bad?.outcome === 'rolled-back' && bad.secondsToZero === null) problems.push('the rollback was not measured');
  if (split.requests === 0 || split.weight < split.low || split.weight > split.high) {
    problems.push(`the measured split ${split.observed} does not fit the weight ${split.weight}`);
  }
  if (!outcome.headerRoute.ok) problems.push('the canary header did not reach the canary');
  if (!outcome.ledger.verified) problems.push('the ledger did not verify');
  return problems;
}

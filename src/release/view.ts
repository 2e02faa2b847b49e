import type { Judgement } from '../analysis/judge.ts';
import type { DataPlaneState, EffectiveRoute } from '../traffic/dataplane.ts';
import { type Drain, departureOf } from './drain.ts';
import type { RollbackCause } from './events.ts';
import type { FleetState, ReleasePhase, ReleaseState, StepCounts } from './state.ts';

/** The four words that every decision is told in. Only PASS raises a weight. */
export type PublicVerdict = 'PASS' | 'FAIL' | 'INCONCLUSIVE' | 'ERROR';

/** A release as others may see it: the API, the command line, the page. */
export interface ReleaseView {
  id: string;
  service: string;
  version: string;
  from: string;
  phase: ReleasePhase;
  revision: number;
  step: number;
  steps: { weightBp: number; holdMs: number }[];
  weightBp: number;
  heldMs: number;
  paused: { reason: string; by: string } | null;
  held: { verdict: string; reason: string } | null;
  verdict: PublicVerdict;
  judgement: Judgement | null;
  counts: StepCounts[];
  requestedAtMs: number;
  requestedBy: string;
  reason: string;
  endedAtMs: number | null;
  endReason: string | null;
  rollbackCause: RollbackCause | null;
  zeroConfirmed: boolean;
  secondsToZero: number | null;
  canaryRequests: number;
  failedRequests: number;
  /** Requests of the canary of whose answer nothing has come, as the data plane sees it now; null where it cannot tell. */
  unanswered: number | null;
  /** What is or was open on the version that gets no more traffic; null when nothing was, or nobody could tell. */
  drain: (Drain & { open: number; cutInMs: number | null }) | null;
  /** The weight that the data plane reports, not the one decided; null while it cannot be read. */
  effectiveWeightBp: number | null;
}

export function releaseView(release: ReleaseState, observed: DataPlaneState | null): ReleaseView {
  const route = observed?.services.find((service) => service.service === release.service);
  const live = route?.exposure?.release === release.id ? route.exposure : null;
  const exposure = release.exposure ?? live;
  const counted = release.counts.reduce(
    (sum, step) => ({ requests: sum.requests + step.canaryRequests, errors: sum.errors + step.canaryErrors }),
    { requests: 0, errors: 0 },
  );
  return {
    id: release.id,
    service: release.service,
    version: release.version,
    from: release.from,
    phase: release.phase,
    revision: release.revision,
    step: release.step,
    steps: release.policy.steps.map(({ weightBp, holdMs }) => ({ weightBp, holdMs })),
    weightBp: release.weightBp,
    heldMs: release.judgement?.heldMs ?? 0,
    paused: release.paused,
    held: release.held,
    verdict: publicVerdict(release),
    judgement: release.judgement,
    counts: release.counts,
    requestedAtMs: release.requestedAtMs,
    requestedBy: release.requestedBy,
    reason: release.reason,
    endedAtMs: release.endedAtMs,
    endReason: release.endReason,
    rollbackCause: release.rollback?.cause ?? null,
    zeroConfirmed: release.zeroConfirmed,
    secondsToZero: release.secondsToZero,
    canaryRequests: exposure?.requests ?? counted.requests,
    failedRequests: exposure?.failures ?? counted.errors,
    unanswered: (route?.canary === release.version ? route.canaryInFlight?.unanswered : null) ?? null,
    drain: drainView(release, route),
    effectiveWeightBp: route ? (route.canary === release.version ? route.effectiveWeightBp : 0) : null,
  };
}

function drainView(release: ReleaseState, route: EffectiveRoute | undefined): ReleaseView['drain'] {
  if (release.drain !== null) return { ...release.drain, open: 0, cutInMs: null };
  const departed = departureOf(release, route);
  if (departed === null || departed.open === 0) return null;
  const { version, ended, cut, unseen, open, cutInMs } = departed;
  return { version, ended, cut, unseen, open, cutInMs, seconds: null };
}

function publicVerdict(release: ReleaseState): PublicVerdict {
  if (release.phase === 'completed') return 'PASS';
  if (release.phase === 'rolled-back') return 'FAIL';
  const judgement = release.judgement;
  if (!judgement) return 'INCONCLUSIVE';
  if (judgement.verdict === 'rollback') return 'FAIL';
  if (judgement.verdict === 'advance') return 'PASS';
  if (judgement.verdict === 'hold' || judgement.verdict === 'pod-fault') return 'ERROR';
  return 'INCONCLUSIVE';
}

/** All releases, newest first. */
export function releaseViews(fleet: FleetState, observed: DataPlaneState | null): ReleaseView[] {
  return Object.values(fleet.releases)
    .map((release) => releaseView(release, observed))
    .reverse();
}

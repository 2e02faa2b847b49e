import { formatShare } from '../lib/units.ts';
import type { ExperimentSpec } from '../spec/chaos-model.ts';
import type { FaultReport } from '../traffic/faults.ts';
import { describePresence } from './describe.ts';
import type { RevertReason } from './events.ts';
import { allHold, type Check, describeCheck } from './observation.ts';
import type { Presence } from './presence.ts';

/** PASS: the hypothesis held. INVALID: the fault was not what was asked for. INCONCLUSIVE: nobody can tell. */
export type ChaosVerdict = 'PASS' | 'FAIL' | 'INCONCLUSIVE' | 'INVALID' | 'ERROR';

/** Wall-clock stamps (ms) of one instance that was taken away. Null: not seen. */
export interface Recovery {
  instance: string;
  killedAtMs: number;
  detectedAtMs: number | null;
  replacedAtMs: number | null;
  readyAtMs: number | null;
}

/** The slice that the fault did not touch, before and during it. */
export interface ControlSlice {
  what: string;
  beforeP95Ms: number | null;
  duringP95Ms: number | null;
  /** (during - before) / before; null when either is unknown. */
  changeShare: number | null;
  errorsDuring: { requests: number; bad: number };
}

export interface Conclusion {
  verdict: ChaosVerdict;
  reasons: string[];
  before: Check[];
  during: Check[];
  after: Check[];
  injection: { matched: number; injected: number; meanAddedMs: number | null } | null;
  /** Null: nothing was injected, or an earlier controller had injected it. */
  presence: Presence | null;
  control: ControlSlice | null;
  recovery: Recovery[];
  /** From the first good moment after which all probes held, in ms after the fault's end (or the kill); null: not reached. */
  steadyAfterMs: number | null;
  detectedAfterMs: number | null;
}

/** What a finished run has to show for itself. */
export interface RunEvidence extends Omit<Conclusion, 'verdict' | 'reasons' | 'injection'> {
  injected: boolean;
  report: FaultReport | null;
  revertReason: RevertReason | null;
  /** For how long before the fault's end nothing was measured. */
  blindMs: number;
  /** The fault's end could not be shown. */
  dirty: string | null;
  failure: string | null;
}

/** The measured delay may differ from the requested one by this share. */
const delayTolerance = 0.2;
/** … and the share of the requests that were hit by this one. */
const shareTolerance = 0.2;
/** So much of the fault's end may go unseen: a reading that came late. */
const blindToleranceMs = 1_000;
/** The control slice may get worse by this share of its p95 before the fault is no longer the only suspect. */
const controlTolerance = 0.2;
/** … and by at least this much: a p95 of 2 ms moves by tenths on its own. */
const controlFloorMs = 5;

/** Pure: the same evidence always gives the same verdict. */
export function conclude(experiment: ExperimentSpec, evidence: RunEvidence): Conclusion {
  const { verdict, reasons } = judge(experiment, evidence);
  const { before, during, after, presence, control, recovery, steadyAfterMs, detectedAfterMs, report } = evidence;
  const injection = report && {
    matched: report.matched,
    injected: report.injected,
    meanAddedMs: meanAdded(report),
  };
  const seen = { injection, presence, control, recovery, steadyAfterMs, detectedAfterMs };
  return { verdict, reasons, before, during, after, ...seen };
}

interface Judged {
  verdict: ChaosVerdict;
  reasons: string[];
}

function judge(experiment: ExperimentSpec, evidence: RunEvidence): Judged {
  if (evidence.dirty !== null)
    return { verdict: 'ERROR', reasons: [`the fault could not be shown to be gone: ${evidence.dirty}`] };
  if (evidence.failure !== null) return { verdict: 'ERROR', reasons: [evidence.failure] };
  if (!evidence.injected) return notInjected(evidence);
  if (
    evidence.revertReason === 'stopped' ||
    evidence.revertReason === 'controller-ended' ||
    evidence.revertReason === 'found-after-restart'
  ) {
    return { verdict: 'INCONCLUSIVE', reasons: [`the fault ended early: ${evidence.revertReason}`] };
  }
  const invalid = injectionProblem(experiment, evidence);
  if (invalid !== null) return { verdict: 'INVALID', reasons: [invalid] };
  return judgeHypothesis(experiment, evidence);
}

function notInjected({ before }: RunEvidence): Judged {
  const broken = before.filter((check) => check.holds !== true).map(describeCheck);
  return {
    verdict: 'INCONCLUSIVE',
    reasons: ['nothing was injected: the steady state did not hold before', ...broken],
  };
}

function judgeHypothesis(experiment: ExperimentSpec, evidence: RunEvidence): Judged {
  const broken = evidence.during.filter((check) => check.holds === false).map(describeCheck);
  if (broken.length === 0 && evidence.blindMs > blindToleranceMs) {
    return { verdict: 'INCONCLUSIVE', reasons: [`nothing was measured in the fault's last ${evidence.blindMs} ms`] };
  }
  const unseenMs = unseenEndMs(evidence.presence);
  if (broken.length === 0 && unseenMs > blindToleranceMs) {
    return {
      verdict: 'INCONCLUSIVE',
      reasons: [`nobody saw whether the fault was in force in its last ${unseenMs} ms`],
    };
  }
  const failures = [...broken, ...lateReasons(experiment, evidence)];
  if (evidence.revertReason === 'stop-condition') failures.unshift('the stop condition ended the fault early');
  if (failures.length > 0) {
    const moved = controlMoved(evidence.control);
    return moved === null
      ? { verdict: 'FAIL', reasons: failures }
      : { verdict: 'INCONCLUSIVE', reasons: [`something else happened as well: ${moved}`, ...failures] };
  }
  const untold = evidence.during.filter((check) => check.holds === null).map(describeCheck);
  if (allHold(evidence.during) !== true)
    return { verdict: 'INCONCLUSIVE', reasons: ['too little was seen to tell', ...untold] };
  return { verdict: 'PASS', reasons: [`held: ${experiment.hypothesis}`] };
}

/** Of processes: the time between the last look that found the fault in force and its planned end. A data plane tells by itself. */
function unseenEndMs(presence: Presence | null): number {
  return presence === null || presence.processes.length === 0 ? 0 : Math.round(presence.plannedMs - presence.presentMs);
}

function lateReasons({ detectWithinMs, recoverWithinMs }: ExperimentSpec, evidence: RunEvidence): string[] {
  const reasons: string[] = [];
  const { detectedAfterMs, steadyAfterMs } = evidence;
  if (detectWithinMs !== null && (detectedAfterMs === null || detectedAfterMs > detectWithinMs)) {
    reasons.push(`detected ${after(detectedAfterMs)}, within ${detectWithinMs} ms was expected`);
  }
  if (steadyAfterMs === null || steadyAfterMs > recoverWithinMs) {
    reasons.push(`steady again ${after(steadyAfterMs)}, within ${recoverWithinMs} ms was expected`);
  }
  return reasons;
}

const after = (ms: number | null): string => (ms === null ? 'never' : `after ${Math.round(ms)} ms`);

/** Why the fault was not what was asked for: a verdict about something that did not happen would be worthless. */
function injectionProblem(experiment: ExperimentSpec, { report, presence }: RunEvidence): string | null {
  if (presence?.lost) return `the fault was in force for ${describePresence(presence)}: ${presence.lost}`;
  const { fault } = experiment;
  if (fault.kind === 'kill' || fault.kind === 'pause') return null;
  if (report === null) return 'the data plane reported nothing about the fault';
  if (report.injected === 0) return `no request was hit (${report.matched} were in scope)`;
  const missed = shareProblem(experiment, report, presence?.inScope ?? null);
  if (missed !== null || fault.kind !== 'delay') return missed;
  const mean = meanAdded(report);
  if (mean === null) return 'the added delay was not measured';
  if (Math.abs(mean - fault.delayMs) <= delayTolerance * fault.delayMs) return null;
  return `the measured delay is ${mean.toFixed(1)} ms, not ${fault.delayMs} ms ± 20 %`;
}

/**
 * Whether another share of the requests was hit than was asked for: among those that the data plane held the fault against, and
 * among all that the counters saw in its scope. Retries come on top of these, so of them too many are no sign.
 */
function shareProblem({ scope }: ExperimentSpec, report: FaultReport, inScope: number | null): string | null {
  const { matched, injected } = report;
  const asked = `${formatShare(scope.share)} were to be hit`;
  if (isFar(injected, matched, scope.share))
    return `${injected} of ${matched} requests in its scope were hit; ${asked}`;
  if (inScope === null || injected >= inScope * scope.share || !isFar(injected, inScope, scope.share)) return null;
  return `the fault hit ${injected} of ${inScope} requests in its scope; ${asked}`;
}

/** By a fifth and by four standard deviations of a draw for each request: by chance once in 16,000 runs. */
function isFar(hits: number, of: number, share: number): boolean {
  const away = Math.abs(hits - of * share);
  return away > shareTolerance * of * share && away > 4 * Math.sqrt(of * share * (1 - share));
}

function meanAdded(report: FaultReport): number | null {
  return report.delayed === 0 ? null : report.addedMsSum / report.delayed;
}

/** How the untouched slice got worse, in words; null when it stayed as it was. */
function controlMoved(control: ControlSlice | null): string | null {
  if (!control) return null;
  const { changeShare, beforeP95Ms, duringP95Ms, errorsDuring, what } = control;
  if (errorsDuring.requests > 0 && errorsDuring.bad / errorsDuring.requests > 0.01) {
    return `${errorsDuring.bad} of ${errorsDuring.requests} requests to ${what} failed`;
  }
  if (changeShare === null || beforeP95Ms === null || duringP95Ms === null) return null;
  const moved = changeShare > controlTolerance && duringP95Ms - beforeP95Ms > controlFloorMs;
  return moved ? `p95 of ${what} went from ${beforeP95Ms.toFixed(1)} to ${duringP95Ms.toFixed(1)} ms` : null;
}

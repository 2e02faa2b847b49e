import { own } from '../lib/own.ts';
import type { BlastLimits, ExperimentSpec, FaultSpec } from '../spec/chaos-model.ts';

/** An instance as planning sees it. */
export interface Candidate {
  id: string;
  service: string;
  version: string;
  zone: string | null;
  ready: boolean;
  /** Davy started its process. */
  ours: boolean;
}

/** Everything about a run that is fixed before it starts: what the ledger keeps. */
export interface RunPlan {
  experiment: ExperimentSpec;
  seed: number;
  /** Instances that are hit. */
  targets: string[];
  /** Ready instances of the same service that are not. */
  untouched: string[];
  blast: { instancesShare: number; requestsShare: number };
}

export type PlanRefusal =
  | { kind: 'no-target'; sentence: string }
  | { kind: 'not-ours'; sentence: string }
  | { kind: 'blast-radius'; sentence: string };

/** Faults that take an instance away, as opposed to faults of the traffic. */
export function isProcessFault(fault: FaultSpec): boolean {
  return fault.kind === 'kill' || fault.kind === 'pause';
}

/**
 * Chooses targets and holds them against the limits. `trafficShare` is each version's share of the service's requests
 * (0..1); `random` is seeded with `seed`, which is kept, so that the choice can be repeated.
 */
export function planRun(input: {
  experiment: ExperimentSpec;
  candidates: readonly Candidate[];
  trafficShare: Readonly<Record<string, number>>;
  limits: BlastLimits;
  seed: number;
  random: () => number;
}): RunPlan | PlanRefusal {
  const { experiment, limits, seed } = input;
  const { scope, fault } = experiment;
  // A version that is only kept ready carries nothing: its instances neither share the load nor count as a reserve.
  const ready = input.candidates.filter(
    (one) =>
      one.service === scope.service &&
      one.ready &&
      ((own(input.trafficShare, one.version) ?? 0) > 0 || one.version === scope.version),
  );
  const inScope = ready.filter(
    (one) =>
      (scope.version === null || one.version === scope.version) && (scope.zone === null || one.zone === scope.zone),
  );
  const wanted = scope.instances ?? inScope.length;
  if (inScope.length === 0 || inScope.length < wanted) return noTarget(experiment, inScope.length, wanted);
  const targets = choose(inScope, wanted, input.random);
  const foreign = targets.find((one) => isProcessFault(fault) && !one.ours);
  if (foreign) {
    return { kind: 'not-ours', sentence: `${foreign.id} was not started by Davy, so it cannot be ${fault.kind}ed.` };
  }
  const ids = targets.map((one) => one.id);
  const blast = {
    instancesShare: targets.length / ready.length,
    requestsShare: requestsShareOf(targets, ready, input.trafficShare, scope.share),
  };
  const untouched = ready.map((one) => one.id).filter((id) => !ids.includes(id));
  const plan: RunPlan = { experiment, seed, targets: ids, untouched, blast };
  const beyond = beyondLimits(plan, limits);
  return beyond === null ? plan : { kind: 'blast-radius', sentence: beyond };
}

function noTarget({ name, scope }: ExperimentSpec, found: number, wanted: number): PlanRefusal {
  const what = [scope.service, scope.version, scope.zone && `zone ${scope.zone}`].filter(Boolean).join(', ');
  const sentence = `${name} needs ${Math.max(1, wanted)} ready instance(s) of ${what}; there are ${found}.`;
  return { kind: 'no-target', sentence };
}

/** Fisher-Yates over a copy in the order of the ids: the same seed and the same instances give the same choice. */
function choose(from: readonly Candidate[], count: number, random: () => number): Candidate[] {
  const pool = [...from].sort((a, b) => (a.id < b.id ? -1 : 1));
  for (let i = pool.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [pool[i], pool[j]] = [pool[j]!, pool[i]!];
  }
  return pool.slice(0, count);
}

/** Requests are spread evenly over the ready instances of a version. */
function requestsShareOf(
  targets: readonly Candidate[],
  ready: readonly Candidate[],
  trafficShare: Readonly<Record<string, number>>,
  share: number,
): number {
  const perVersion = new Map<string, number>();
  for (const one of ready) perVersion.set(one.version, (perVersion.get(one.version) ?? 0) + 1);
  const reached = targets.reduce(
    (sum, one) => sum + (own(trafficShare, one.version) ?? 0) / (perVersion.get(one.version) ?? 1),
    0,
  );
  return Math.min(1, reached * share);
}

/** A fault of the traffic is bounded by requests, a fault of processes by instances; one that silences a whole instance by both. */
function beyondLimits({ experiment, targets, untouched, blast }: RunPlan, limits: BlastLimits): string | null {
  const { fault, scope, name } = experiment;
  const ofProcesses = isProcessFault(fault);
  const silences = ofProcesses || ((fault.kind === 'abort' || fault.kind === 'blackhole') && scope.share === 1);
  const tooMany = ofProcesses && blast.instancesShare > limits.instancesShare + 1e-9;
  if (tooMany) {
    return `${name} would hit ${percent(blast.instancesShare)} of the ready instances of ${scope.service}; limits.instances is ${percent(limits.instancesShare)}.`;
  }
  if (!ofProcesses && blast.requestsShare > limits.requestsShare + 1e-9) {
    return `${name} would hit ${percent(blast.requestsShare)} of the requests to ${scope.service}; limits.requests is ${percent(limits.requestsShare)}.`;
  }
  if (silences && untouched.length < limits.minHealthy) {
    return `${name} would leave ${untouched.length} of ${targets.length + untouched.length} ready instances of ${scope.service} untouched; limits.minHealthy is ${limits.minHealthy}.`;
  }
  return null;
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

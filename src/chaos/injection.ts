import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf } from '../lib/error.ts';
import type { ProcessIdentity } from '../lib/process.ts';
import type { FaultSpec } from '../spec/chaos-model.ts';
import type { FaultAction, FaultPlane, FaultReport, FaultRule } from '../traffic/faults.ts';
import type { InstanceFaults } from '../workloads/faults.ts';
import { isProcessFault, type RunPlan } from './plan.ts';

/** Without a heartbeat a fault of the traffic is over after this. */
const leaseMs = 10_000;
const heartbeatMs = 2_500;
const confirmEveryMs = 100;
/** A revert is shown within this time, or the run is DIRTY once its lease must have ended as well. */
const confirmWithinMs = 5_000;
/** A pause is ended by the run. The process that ends it when nobody else does gives the run this much longer. */
const pauseSlackMs = 2_000;

export interface InjectionParts {
  faultPlane: FaultPlane;
  instances: InstanceFaults;
  clock: Clock;
}

/** A process that a fault was put on. */
export interface HitProcess {
  instance: string;
  process: ProcessIdentity;
}

/**
 * Puts the fault of a plan in force where it acts, as a lease that ends `durationMs` from then at the latest (a pause 2 s
 * later). Resolves with the processes that it hit; none for a fault of the traffic.
 */
export async function inject(run: string, plan: RunPlan, parts: InjectionParts): Promise<HitProcess[]> {
  const { fault, durationMs } = plan.experiment;
  if (!isProcessFault(fault)) {
    await parts.faultPlane.inject([ruleOf(run, plan, Math.min(leaseMs, durationMs))]);
    return [];
  }
  const hit: HitProcess[] = [];
  for (const instance of plan.targets) {
    const process =
      fault.kind === 'kill'
        ? await parts.instances.kill(instance)
        : await parts.instances.pause(instance, durationMs + pauseSlackMs);
    hit.push({ instance, process });
  }
  return hit;
}

/** Renews the lease until `endMs`, as long as the fault is in force. Process faults need no heartbeat. */
export async function holdLease(
  run: string,
  plan: RunPlan,
  endMs: number,
  parts: InjectionParts,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = parts;
  while (!signal.aborted && clock.monoMs() < endMs) {
    await sleep(clock, Math.min(heartbeatMs, endMs - clock.monoMs()), signal).catch(() => {});
    if (signal.aborted || clock.monoMs() >= endMs || isProcessFault(plan.experiment.fault)) continue;
    // One lost heartbeat is made good by the next; without any the lease ends the fault by itself.
    await renew(run, plan, endMs, parts).catch(() => {});
  }
}

/** What somebody ended stays ended: a renewal would put it in force again. */
async function renew(run: string, plan: RunPlan, endMs: number, { clock, faultPlane }: InjectionParts): Promise<void> {
  const report = await readReport(run, faultPlane);
  const remainingMs = endMs - clock.monoMs();
  if (report === null || report.expiresInMs === 0 || remainingMs <= 0) return;
  await faultPlane.inject([ruleOf(run, plan, Math.min(leaseMs, remainingMs))]);
}

/** Ends the fault and shows that it is gone. Returns null, or why that could not be shown. */
export async function revert(run: string, plan: RunPlan, parts: InjectionParts): Promise<string | null> {
  const { clock } = parts;
  const startMs = clock.monoMs();
  // The lease ends by itself within `leaseMs`; only what outlives that as well is DIRTY.
  const deadlineMs = startMs + leaseMs + confirmWithinMs;
  let problem = 'not tried';
  while (clock.monoMs() < deadlineMs) {
    // Its sentence becomes a part of others: "chaos-3 is DIRTY: …; clear it with …".
    problem = (await revertOnce(run, plan, parts).catch((error) => messageOf(error).replace(/\.$/, ''))) ?? '';
    if (problem === '') return null;
    await sleep(clock, confirmEveryMs);
  }
  return problem;
}

async function revertOnce(run: string, plan: RunPlan, parts: InjectionParts): Promise<string | null> {
  const { fault } = plan.experiment;
  // What was killed cannot be brought back from here; the supervisor does that, and the recovery is measured.
  if (fault.kind === 'kill') return null;
  if (fault.kind === 'pause') {
    for (const id of plan.targets) await parts.instances.resume(id);
    const paused = plan.targets.filter((id) => parts.instances.isPaused(id));
    return paused.length === 0 ? null : `${paused.join(', ')} still stands still`;
  }
  await parts.faultPlane.clear([run]);
  const report = await readReport(run, parts.faultPlane);
  return report === null || report.expiresInMs === 0 ? null : `the data plane still injects ${run}`;
}

/** What the fault did, measured where it acts; null when the data plane does not know it (any more). */
export async function readReport(run: string, faultPlane: FaultPlane): Promise<FaultReport | null> {
  return (await faultPlane.reports()).find((report) => report.id === run) ?? null;
}

function ruleOf(run: string, { experiment, targets }: RunPlan, ttlMs: number): FaultRule {
  const { scope, fault } = experiment;
  // Instances by name only where the scope counts them: a fault on "all" also hits those that start meanwhile.
  const instances = scope.instances === null ? null : targets;
  const { service, version, zone, share } = scope;
  return {
    id: run,
    action: actionOf(fault),
    scope: { service, version, instances, zone, share },
    ttlMs: Math.ceil(ttlMs),
  };
}

function actionOf(fault: FaultSpec): FaultAction {
  switch (fault.kind) {
    case 'dependency-down':
      return { kind: 'abort', status: 503 };
    case 'kill':
    case 'pause':
      throw new TypeError(`${fault.kind} is not a fault of the traffic`);
    default:
      return fault;
  }
}

import type { FaultReport } from '../traffic/faults.ts';
import type { InstanceFaults } from '../workloads/faults.ts';
import type { InstanceStatus } from '../workloads/workloads.ts';
import { type HitProcess, type InjectionParts, readReport } from './injection.ts';
import { isProcessFault, type RunPlan } from './plan.ts';

/** What was shown of a fault between its injection and its planned end. */
export interface Presence {
  /** For how long it was to be in force: to its planned end, or until the run itself ended it before. */
  plannedMs: number;
  /** For how long it was shown to be; of several processes the one that was seen for the shortest time. */
  presentMs: number;
  /** How it ended before its time by no act of the run, in words; null when it did not. */
  lost: string | null;
  /** First tries that the gateway's counters saw in the fault's scope meanwhile, hit or not; null when they cannot tell. */
  inScope: number | null;
  processes: { instance: string; pid: number; fate: ProcessFate }[];
}

/** `ended`: it is gone. `stopped`: it stands still and did not run for a moment. `running`: it runs, or ran meanwhile. */
export type ProcessFate = 'ended' | 'stopped' | 'running';

interface PresenceParts extends InjectionParts {
  workloads: { list(): InstanceStatus[] };
}

/** What may be missing of a fault's time in the data plane's own account: a data plane that hands over to its successor loses its last counts. */
const missingMaxMs = 1_000;
const missingMaxShare = 0.1;

/**
 * Looks whether a fault is still what the run put in force: for traffic the data plane's own account of it, for processes
 * the same pid that still stands still, or is still gone. A fault that anybody else ended is never put in force again.
 */
export class PresenceWatch {
  readonly #run: string;
  readonly #plan: RunPlan;
  readonly #parts: PresenceParts;
  /** Monotonic times. */
  readonly #beganMs: number;
  readonly #endMs: number;
  readonly #processes: WatchedProcess[];
  #report: FaultReport | null = null;
  #newest: FaultReport | null = null;
  #seenMs: number;
  #lost: string | null = null;

  /** From the moment when the fault was confirmed to be in force; `endMs` (monotonic) is its planned end. */
  constructor(run: string, plan: RunPlan, hit: readonly HitProcess[], endMs: number, parts: PresenceParts) {
    this.#run = run;
    this.#plan = plan;
    this.#parts = parts;
    this.#beganMs = parts.clock.monoMs();
    this.#seenMs = this.#beganMs;
    this.#endMs = endMs;
    this.#processes = hit.map((one) => new WatchedProcess(one, plan, this.#beganMs));
  }

  /** How it ended before its time; null while it has not. */
  get lost(): string | null {
    return this.#lost;
  }

  /** What it did so far, in all data planes that had it; null when none reported anything. */
  get report(): FaultReport | null {
    return this.#report;
  }

  /** For how long nobody could say whether it is in force. */
  unseenMs(): number {
    return this.#parts.clock.monoMs() - this.#seenMs;
  }

  async look(): Promise<void> {
    const atMs = this.#parts.clock.monoMs();
    // From its planned end on it may be over.
    const mayBeOver = atMs >= this.#endMs;
    if (isProcessFault(this.#plan.experiment.fault)) this.#lost ??= this.#lookAtProcesses(atMs, mayBeOver);
    else this.#lost ??= await this.#lookAtTraffic(mayBeOver);
  }

  /** After the fault was reverted; `heldUntilMs` (monotonic) is when that began. */
  async close(heldUntilMs: number, inScope: number | null): Promise<Presence> {
    const { durationMs, fault } = this.#plan.experiment;
    const heldMs = Math.min(heldUntilMs, this.#endMs) - this.#beganMs;
    const plannedMs = this.#lost !== null || heldUntilMs >= this.#endMs ? durationMs : heldMs;
    const processes = this.#processes.map(({ instance, pid, fate }) => ({ instance, pid, fate }));
    if (isProcessFault(fault)) {
      const presentMs = Math.min(plannedMs, ...this.#processes.map((one) => one.presentMs));
      return { plannedMs, presentMs, lost: this.#lost, inScope: null, processes };
    }
    this.#lost ??= await this.#lookAtTraffic(true);
    const presentMs = Math.min(plannedMs, this.#report?.inForceMs ?? 0);
    const mayMissMs = Math.min(missingMaxMs, missingMaxShare * plannedMs);
    if (plannedMs - presentMs > mayMissMs) this.#lost ??= 'it was not in force all the time where it acts';
    return { plannedMs, presentMs, lost: this.#lost, inScope, processes };
  }

  #lookAtProcesses(atMs: number, mayBeOver: boolean): string | null {
    const { instances, workloads } = this.#parts;
    const found = this.#processes.map((one) => one.look(instances, atMs, workloads.list(), mayBeOver));
    this.#seenMs = atMs;
    return found.find((one) => one !== null) ?? null;
  }

  async #lookAtTraffic(mayBeOver: boolean): Promise<string | null> {
    const report = await readReport(this.#run, this.#parts.faultPlane).catch(() => undefined);
    if (report === undefined) return null;
    this.#seenMs = this.#parts.clock.monoMs();
    if (report === null) return 'the data plane began anew without it';
    this.#report = addReport(this.#report, this.#newest, report);
    this.#newest = report;
    if (report.begun > 1) return 'something else ended it, and it was put in force again';
    return report.expiresInMs > 0 || mayBeOver ? null : 'something else ended it, or its lease ran out';
  }
}

/** One process that a fault hit. */
class WatchedProcess {
  readonly instance: string;
  readonly #hit: HitProcess;
  readonly #mustStand: boolean;
  readonly #beganMs: number;
  presentMs = 0;
  fate: ProcessFate;
  /** Of the first look: while it stands still the number stays. */
  #switches: number | null = null;

  constructor(hit: HitProcess, { experiment }: RunPlan, beganMs: number) {
    this.instance = hit.instance;
    this.#hit = hit;
    this.#mustStand = experiment.fault.kind === 'pause';
    this.#beganMs = beganMs;
    this.fate = this.#mustStand ? 'stopped' : 'ended';
  }

  get pid(): number {
    return this.#hit.process.pid;
  }

  /** In words how the fault is over for this process; null while it is in force. */
  look(instances: InstanceFaults, atMs: number, now: readonly InstanceStatus[], mayBeOver: boolean): string | null {
    const { exists, stopped, switches } = instances.look(this.#hit.process);
    this.#switches ??= switches;
    const ran = switches !== this.#switches;
    const fate = !exists ? 'ended' : stopped && !ran ? 'stopped' : 'running';
    if (fate === (this.#mustStand ? 'stopped' : 'ended')) {
      this.presentMs = atMs - this.#beganMs;
      return null;
    }
    if (mayBeOver) return null;
    this.fate = fate;
    return this.#says(fate, now.find((one) => one.id === this.instance)?.pid ?? null);
  }

  #says(fate: ProcessFate, newPid: number | null): string {
    const { pid, instance } = this;
    if (!this.#mustStand) return `process ${pid} of ${instance} outlived SIGKILL`;
    if (fate === 'running') return `process ${pid} of ${instance} was continued by somebody else`;
    const next = newPid === null || newPid === pid ? '' : ` and ${newPid} took its place`;
    return `process ${pid} of ${instance} was ended${next}`;
  }
}

/** The counts of one fault so far: as in PromQL's `increase`, one that falls began anew in a data plane that took over. */
export function addReport(sum: FaultReport | null, before: FaultReport | null, now: FaultReport): FaultReport {
  if (sum === null || before === null) return now;
  const plus = (name: 'inForceMs' | 'matched' | 'injected' | 'delayed' | 'addedMsSum'): number =>
    sum[name] + now[name] - (now[name] < before[name] ? 0 : before[name]);
  return {
    ...now,
    ...{ inForceMs: plus('inForceMs'), matched: plus('matched'), injected: plus('injected') },
    ...{ delayed: plus('delayed'), addedMsSum: plus('addedMsSum') },
    addedMsMax: Math.max(sum.addedMsMax, now.addedMsMax),
  };
}

import type { ProcessIdentity } from '../lib/process.ts';

/** What is seen of the process that a fault was put on. */
export interface ProcessSight {
  /** Exactly this process still runs or stands still; false: it has ended. */
  exists: boolean;
  /** It stands still (SIGSTOP). */
  stopped: boolean;
  /** How often it gave up a processor so far: as long as it stands still the number stays. Null: the system does not say. */
  switches: number | null;
}

/** Faults of processes that Davy started. They reject with `workloads/not-ours` or `workloads/not-running`. */
export interface InstanceFaults {
  /** SIGKILL; the supervisor starts the instance again. Resolves with what was killed, once it has ended or 5 s later. */
  kill(instanceId: string): Promise<ProcessIdentity>;
  /**
   * SIGSTOP to the whole group for `ttlMs`: a process of its own ends the pause when nobody else does. Resolves with what
   * stands still.
   */
  pause(instanceId: string, ttlMs: number): Promise<ProcessIdentity>;
  /** Ends a pause; harmless without one. */
  resume(instanceId: string): Promise<void>;
  isPaused(instanceId: string): boolean;
  /** Looks at a process that `kill` or `pause` hit. */
  look(hit: ProcessIdentity): ProcessSight;
}

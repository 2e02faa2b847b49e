/** Faults of processes that Davy started. They reject with `workloads/not-ours` or `workloads/not-running`. */
export interface InstanceFaults {
  /** SIGKILL; the supervisor starts the instance again. */
  kill(instanceId: string): Promise<void>;
  /** SIGSTOP to the whole group for `ttlMs`: a process of its own ends the pause when nobody else does. */
  pause(instanceId: string, ttlMs: number): Promise<void>;
  /** Ends a pause; harmless without one. */
  resume(instanceId: string): Promise<void>;
  isPaused(instanceId: string): boolean;
}

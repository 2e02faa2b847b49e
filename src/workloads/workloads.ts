import type { InstanceAddress } from '../traffic/model.ts';

export type InstancePhase = 'starting' | 'ready' | 'unhealthy' | 'backing-off' | 'stopped';

export interface InstanceStatus extends InstanceAddress {
  service: string;
  version: string;
  /**
   * The address of `host` that answered the last good health check: requests go to it, and to no other. Absent where there is none yet, and
   * where `host` is one itself.
   */
  address?: string;
  phase: InstancePhase;
  /** Process id where Davy started it. */
  pid: number | null;
  restarts: number;
  startedAtMs: number | null;
  /** The last failure in words, for status and errors. */
  problem: string | null;
}

/** Runs versions, or only reaches them. Instances outlive the controller and are adopted again by the next one. */
export interface Workloads {
  /** Starts (or adopts, or reaches) every declared instance and keeps it running; resolves when all were tried once. */
  start(): Promise<void>;
  list(): InstanceStatus[];
  /** Stops and starts one instance anew. Rejects for an instance that Davy does not run. */
  replace(instanceId: string): Promise<void>;
  /** Called when any status changed. Returns the unsubscribe function. */
  subscribe(listener: () => void): () => void;
  /** Drains (SIGTERM, then SIGKILL after a grace time) what Davy started. `leaveRunning` only lets go of it. */
  stop(options?: { leaveRunning?: boolean }): Promise<void>;
}

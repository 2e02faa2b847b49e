import type { Clock } from '../lib/clock.ts';
import type { HealthSpec } from '../spec/model.ts';
import type { InstanceRecords } from './instance-records.ts';
import type { InstanceStatus } from './workloads.ts';

/** One declared instance, whoever runs it. */
export interface ManagedInstance {
  readonly id: string;
  status(): InstanceStatus;
  /** Resolves when the instance was tried once: it became ready, failed, or took longer than its start may take. */
  start(): Promise<void>;
  replace(): Promise<void>;
  stop(leaveRunning: boolean): Promise<void>;
}

/** What an instance is called and how its health is judged. */
export interface InstanceDeclaration {
  id: string;
  service: string;
  version: string;
  zone: string | null;
  health: HealthSpec;
}

/** What all instances of one supervisor share. */
export interface Supervision {
  clock: Clock;
  /** 0 <= random() < 1, for jitter. */
  random: () => number;
  log: (sentence: string) => void;
  changed: () => void;
  records: InstanceRecords;
  logDir: string;
  /** The spec file's folder: commands run there. */
  baseDir: string;
  /** A port that no service listens on and that no instance was given lately: an old route must not reach another version. */
  freshPort: () => Promise<number>;
  /** Time between SIGTERM and SIGKILL. */
  graceMs: number;
  /** Time between leaving the list of ready instances and SIGTERM, for the data plane to follow. */
  drainMs: number;
}

/** Health checks of many instances must not fall on the same moment: the interval varies by ±10 %. */
export function jittered(intervalMs: number, random: number): number {
  return intervalMs * (0.9 + 0.2 * random);
}

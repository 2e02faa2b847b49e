import { checkSegmentLinks } from './link-check.ts';
import { checkSegment } from './segment-check.ts';

/** What can be done with a segment on its own, on any thread. */
export const segmentJobs = { check: checkSegment, links: checkSegmentLinks };

export type JobKind = keyof typeof segmentJobs;
export type TaskOf<K extends JobKind> = Parameters<(typeof segmentJobs)[K]>[0];
export type ReportOf<K extends JobKind> = ReturnType<(typeof segmentJobs)[K]>;

/** What the threads share: they take the tasks one after the other, each the next that nobody has taken. */
export interface SharedJob<K extends JobKind = JobKind> {
  kind: K;
  tasks: readonly TaskOf<K>[];
  /** Over one shared Int32: the index of the next task. */
  next: Int32Array;
}

type OnProgress = (bytes: number, records: number) => void;

/** Does the next task that is left, and says which it was; null when none is left. */
export function doNextTask<K extends JobKind>(
  { kind, tasks, next }: SharedJob<K>,
  onProgress: OnProgress,
): { index: number; report: ReportOf<K> } | null {
  const index = Atomics.add(next, 0, 1);
  const task = tasks[index];
  if (task === undefined) return null;
  const run = segmentJobs[kind] as (task: TaskOf<K>, onProgress: OnProgress) => ReportOf<K>;
  const report = run(task, onProgress);
  // When one segment is not as it should be, the others need not be looked at side by side.
  if (report.failed) Atomics.store(next, 0, tasks.length);
  return { index, report };
}

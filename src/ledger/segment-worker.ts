import { parentPort, workerData } from 'node:worker_threads';
import { doNextTask, type JobKind, type ReportOf, type SharedJob } from './segment-jobs.ts';

/** What a worker sends back: progress as it goes, one report per task, and that no task is left. */
export type WorkerMessage<K extends JobKind = JobKind> =
  | { kind: 'progress'; bytes: number; records: number }
  | { kind: 'report'; index: number; report: ReportOf<K> }
  | { kind: 'done' };

const send = (message: WorkerMessage): void => parentPort?.postMessage(message);
const job = workerData as SharedJob;
const onProgress = (bytes: number, records: number): void => send({ kind: 'progress', bytes, records });
for (let done = doNextTask(job, onProgress); done; done = doNextTask(job, onProgress)) {
  send({ kind: 'report', ...done });
}
send({ kind: 'done' });

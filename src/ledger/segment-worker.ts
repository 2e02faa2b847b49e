import { parentPort } from 'node:worker_threads';
import { messageOf } from '../lib/error.ts';
import { nodeDisk } from './node-disk.ts';
import { checkSegment, type SegmentReport, type SegmentTask } from './segment-check.ts';

/** What a worker sends back: progress as it goes, then one report per task. */
export type WorkerMessage =
  | { kind: 'progress'; bytes: number; records: number }
  | { kind: 'report'; report: SegmentReport }
  | { kind: 'error'; message: string };

parentPort?.on('message', (task: SegmentTask) => {
  const send = (message: WorkerMessage): void => parentPort?.postMessage(message);
  checkSegment(nodeDisk, task, (bytes, records) => send({ kind: 'progress', bytes, records }))
    .then((report) => send({ kind: 'report', report }))
    .catch((error: unknown) => send({ kind: 'error', message: messageOf(error) }));
});

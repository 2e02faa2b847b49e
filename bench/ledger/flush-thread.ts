import { parentPort, workerData } from 'node:worker_threads';
import { type FlushThreadData, slowFlushSync } from './slow-disk.ts';

/** Flushes the file that `asked[1]` names whenever `asked[0]` was raised, and says when it is done. */
const { asked, extraMs } = workerData as FlushThreadData;
for (let done = 0; ; ) {
  Atomics.wait(asked, 0, done);
  done = Atomics.load(asked, 0);
  const fd = Atomics.load(asked, 1);
  if (fd < 0) break;
  slowFlushSync(fd, extraMs);
  parentPort!.postMessage(0);
}

import { setTimeout as sleep } from 'node:timers/promises';
import { isSame, signalGroup } from '../lib/process.ts';

/**
 * `resume-later PID START-TIME MS`: the lease of a paused process, in a process of its own so that it ends whatever
 * happens to the one that asked for it. Continuing a process that runs already is harmless.
 */
const [pid, startTime, ttl] = process.argv.slice(2);
const identity = { pid: Number(pid), startTime: startTime ?? '' };
const endMs = performance.now() + Number(ttl);
const checkEveryMs = 1_000;

// Ends early with the process it is for.
while (isSame(identity) && performance.now() < endMs) await sleep(Math.min(checkEveryMs, endMs - performance.now()));
signalGroup(identity, 'SIGCONT');

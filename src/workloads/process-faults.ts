import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sleep, systemClock } from '../lib/clock.ts';
import { DavyError } from '../lib/error.ts';
import {
  contextSwitches,
  identify,
  isSame,
  isStopped,
  type ProcessIdentity,
  signalGroup,
  startProcess,
} from '../lib/process.ts';
import { workloadsErrors } from './errors.ts';
import type { InstanceFaults } from './faults.ts';
import type { InstanceStatus } from './workloads.ts';

const stopCheckMs = 5;
/** A killed process that the kernel cannot end at once (it waits for a disk, say) is not waited for longer. */
const endWithinMs = 5_000;

/** Process faults on the instances of a list, read anew for every call. */
export function createProcessFaults(list: () => InstanceStatus[], logDir: string): InstanceFaults {
  function find(instanceId: string): ProcessIdentity {
    const status = list().find((one) => one.id === instanceId);
    if (!status) throw new DavyError(workloadsErrors['unknown-instance'], `No instance "${instanceId}" is declared.`);
    const identity = status.pid === null ? null : identify(status.pid);
    if (identity === null) {
      throw new DavyError(
        workloadsErrors['not-running'],
        `${instanceId} has no process of ours now (${status.phase}).`,
      );
    }
    return identity;
  }

  function running(instanceId: string): ProcessIdentity | null {
    const pid = list().find((one) => one.id === instanceId)?.pid ?? null;
    return pid === null ? null : identify(pid);
  }

  return {
    async kill(instanceId) {
      const identity = find(instanceId);
      signalGroup(identity, 'SIGKILL');
      const deadlineMs = systemClock.monoMs() + endWithinMs;
      while (isSame(identity) && systemClock.monoMs() < deadlineMs) await sleep(systemClock, stopCheckMs);
      return identity;
    },
    async pause(instanceId, ttlMs) {
      const identity = find(instanceId);
      // First the one who ends the pause, then the pause: in the other order a crash in between would leave it for ever.
      await startProcess({
        argv: [process.execPath, resumeLater, String(identity.pid), identity.startTime, String(ttlMs)],
        cwd: logDir,
        env: {},
        logFile: join(logDir, 'resume-later.log'),
      });
      signalGroup(identity, 'SIGSTOP');
      // The signal takes effect when the process is scheduled next.
      while (isSame(identity) && !isStopped(identity)) await sleep(systemClock, stopCheckMs);
      return identity;
    },
    async resume(instanceId) {
      const identity = running(instanceId);
      if (identity !== null) signalGroup(identity, 'SIGCONT');
    },
    isPaused(instanceId) {
      const identity = running(instanceId);
      return identity !== null && isStopped(identity);
    },
    look(hit) {
      return { exists: isSame(hit), stopped: isStopped(hit), switches: contextSwitches(hit.pid) };
    },
  };
}

const resumeLater = fileURLToPath(new URL('./resume-later.ts', import.meta.url));

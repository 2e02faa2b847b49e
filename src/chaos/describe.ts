import { formatDurationMs, formatShare } from '../lib/units.ts';
import type { ExperimentSpec, FaultSpec } from '../spec/chaos-model.ts';
import type { Presence } from './presence.ts';

/** What an experiment does, in words: `delay 200ms, 20% of the requests to service-b`. */
export function describeExperiment({ fault, scope }: Pick<ExperimentSpec, 'fault' | 'scope'>): string {
  const where = [scope.service, scope.version, scope.zone && `zone ${scope.zone}`].filter(Boolean).join(' ');
  const instances = scope.instances === null ? null : `${scope.instances} instance${scope.instances === 1 ? '' : 's'}`;
  if (fault.kind === 'kill' || fault.kind === 'pause')
    return `${fault.kind} ${instances ?? 'all instances'} of ${where}`;
  const requests = scope.share === 1 ? 'all requests' : `${formatShare(scope.share)} of the requests`;
  return `${describeFault(fault)}, ${requests} to ${instances === null ? where : `${instances} of ${where}`}`;
}

function describeFault(fault: FaultSpec): string {
  switch (fault.kind) {
    case 'delay':
      return `delay ${formatDurationMs(fault.delayMs)}`;
    case 'abort':
      return `abort with ${fault.status}`;
    case 'bandwidth':
      return `bandwidth ${fault.bytesPerSecond} bytes/s`;
    default:
      return fault.kind;
  }
}

/** For how long a fault was in force: `1s500ms of 12s`. */
export function describePresence({ presentMs, plannedMs }: Pick<Presence, 'presentMs' | 'plannedMs'>): string {
  const rounded = (ms: number): string => formatDurationMs(ms < 1_000 ? Math.round(ms) : 100 * Math.round(ms / 100));
  return `${rounded(presentMs)} of ${rounded(plannedMs)}`;
}

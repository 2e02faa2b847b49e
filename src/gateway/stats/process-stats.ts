import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { type DescriptorReport, descriptors } from '../net/descriptors.ts';
import { internalErrors } from '../net/internal-error.ts';

/** How the process itself fares. */
export interface ProcessReport {
  pid: number;
  residentBytes: number;
  cpuSeconds: number;
  gcSeconds: number;
  /** Longest delay of the event loop since the last report, and its 99th percentile, in seconds. */
  loopLagMaxSeconds: number;
  loopLagP99Seconds: number;
  /** Exceptions of the gateway's own that ended a connection; absent from an older gateway. */
  internalErrors?: number;
  /** Absent from an older gateway. */
  descriptors?: DescriptorReport;
}

const LAG_RESOLUTION_MS = 20;

/** Begins to watch the collector and the event loop; returns the reader. */
export function watchProcess(): () => ProcessReport {
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();
  let gcMs = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) gcMs += entry.duration;
  }).observe({ entryTypes: ['gc'] });
  return () => {
    const { user, system } = process.cpuUsage();
    // The monitor measures the whole interval between two wake-ups; what is beyond its own period is the lag.
    const seconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - LAG_RESOLUTION_MS / 1000);
    const report = {
      pid: process.pid,
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      gcSeconds: gcMs / 1000,
      loopLagMaxSeconds: seconds(lag.max),
      loopLagP99Seconds: seconds(lag.percentile(99)),
      internalErrors: internalErrors.count,
      descriptors: descriptors.report(),
    };
    lag.reset();
    return report;
  };
}

/** Monotonic milliseconds that all processes of a machine share: counts that a successor goes on with keep their clock. */
export function machineMonoMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}

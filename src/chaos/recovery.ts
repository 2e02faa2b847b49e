import type { Recovery } from './verdict.ts';

/** What is seen of an instance at one moment. */
export interface InstanceSight {
  phase: string;
  pid: number | null;
  restarts: number;
}

/** Notes what one more look at the instance shows; each moment is written once. */
export function noteSight(recovery: Recovery, before: InstanceSight, now: InstanceSight, atMs: number): Recovery {
  const replaced = now.pid !== null && (now.pid !== before.pid || now.restarts !== before.restarts);
  const next = { ...recovery };
  if (next.detectedAtMs === null && (now.phase !== 'ready' || replaced)) next.detectedAtMs = atMs;
  if (next.detectedAtMs !== null && next.replacedAtMs === null && replaced) next.replacedAtMs = atMs;
  // A paused instance comes back as the same process.
  if (next.detectedAtMs !== null && next.readyAtMs === null && now.phase === 'ready') next.readyAtMs = atMs;
  return next;
}

/** One look at all probes after the fault. `good` is null when too little was seen to tell. */
export interface SteadySample {
  atMs: number;
  good: boolean | null;
}

/**
 * The start of the first stretch of good samples that lasted `steadyMs` without a bad one; null when there is none yet.
 * Unknown neither breaks nor begins a stretch.
 */
export function steadyFrom(samples: readonly SteadySample[], steadyMs: number): number | null {
  let fromMs: number | null = null;
  for (const { atMs, good } of samples) {
    if (good === false) fromMs = null;
    else if (good === true) fromMs ??= atMs;
    if (fromMs !== null && atMs - fromMs >= steadyMs) return fromMs;
  }
  return null;
}

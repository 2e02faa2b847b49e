import type { HealthSpec } from '../spec/model.ts';
import type { InstancePhase } from './workloads.ts';

/** What one health check saw. `answered`: an HTTP response came back, whatever its status. */
export type ProbeResult = { ok: true } | { ok: false; answered: boolean; says: string };

/** What the health checks of one process have shown so far. */
export interface HealthState {
  phase: Extract<InstancePhase, 'starting' | 'ready' | 'unhealthy'>;
  goodInARow: number;
  badInARow: number;
  /** Since when (monotonic ms) nothing has answered at all; null after an answer. */
  silentSinceMs: number | null;
  startedMs: number;
  problem: string | null;
}

export function freshHealth(nowMs: number): HealthState {
  return { phase: 'starting', goodInARow: 0, badInARow: 0, silentSinceMs: nowMs, startedMs: nowMs, problem: null };
}

/** For an endpoint that should be there already: the first answer decides, either way. */
export function unaskedHealth(health: HealthSpec, nowMs: number): HealthState {
  return {
    ...freshHealth(nowMs),
    phase: 'unhealthy',
    goodInARow: health.healthyAfter - 1,
    badInARow: health.unhealthyAfter - 1,
    problem: 'not asked yet',
  };
}

/**
 * A starting process is ready at its first good answer. Later it needs `unhealthyAfter` bad ones in a row to leave the
 * ready ones and `healthyAfter` good ones to return.
 */
export function afterProbe(state: HealthState, result: ProbeResult, health: HealthSpec, nowMs: number): HealthState {
  if (result.ok) {
    const goodInARow = state.goodInARow + 1;
    const ready = state.phase !== 'unhealthy' || goodInARow >= health.healthyAfter;
    const seen = { ...state, goodInARow, badInARow: 0, silentSinceMs: null };
    return ready ? { ...seen, phase: 'ready', problem: null } : seen;
  }
  const badInARow = state.badInARow + 1;
  const silentSinceMs = result.answered ? null : (state.silentSinceMs ?? nowMs);
  const seen = { ...state, goodInARow: 0, badInARow, silentSinceMs };
  if (state.phase === 'starting') return { ...seen, problem: lateStart(state, result.says, health, nowMs) };
  if (badInARow < health.unhealthyAfter) return seen;
  return { ...seen, phase: 'unhealthy', problem: result.says };
}

function lateStart(state: HealthState, says: string, health: HealthSpec, nowMs: number): string | null {
  const sinceStartMs = nowMs - state.startedMs;
  if (sinceStartMs < health.startWithinMs) return null;
  return `not ready ${Math.round(sinceStartMs / 1000)} s after its start: ${says}`;
}

/**
 * A process that has not answered anything for `startWithinMs` hangs and is started anew. One that answers, even "503",
 * is left alone: restarting every instance because a shared dependency is down makes the outage worse.
 */
export function isHung(state: HealthState, health: HealthSpec, nowMs: number): boolean {
  return state.silentSinceMs !== null && nowMs - state.silentSinceMs >= health.startWithinMs;
}

const fastestProbeMs = 100;

/** Until its first good answer a process is asked more often, so that a start does not wait for a slow schedule. */
export function nextProbeMs(state: HealthState, health: HealthSpec): number {
  return state.phase === 'starting' ? Math.min(fastestProbeMs, health.everyMs) : health.everyMs;
}

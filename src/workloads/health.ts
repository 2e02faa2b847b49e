import type { ProbeResult } from '../probe/probe.ts';
import type { HealthSpec } from '../spec/model.ts';
import type { InstancePhase } from './workloads.ts';

/** A program needs a moment until it listens: silence that is no longer than this is no problem yet. */
const quietStartMs = 2_000;

/** What the health checks of one process have shown so far. */
export interface HealthState {
  phase: Extract<InstancePhase, 'starting' | 'ready' | 'unhealthy'>;
  goodInARow: number;
  badInARow: number;
  /** Since when (monotonic ms) nothing has answered at all; null after an answer. */
  silentSinceMs: number | null;
  startedMs: number;
  /** The last check that failed, in its own words; null after a good one. */
  says: string | null;
  /** What there is to tell about it now. */
  problem: string | null;
}

export function freshHealth(nowMs: number): HealthState {
  const counts = { goodInARow: 0, badInARow: 0 };
  return { phase: 'starting', ...counts, silentSinceMs: nowMs, startedMs: nowMs, says: null, problem: null };
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
    const seen = { ...state, goodInARow, badInARow: 0, silentSinceMs: null, says: null };
    return ready ? { ...seen, phase: 'ready', problem: null } : seen;
  }
  const badInARow = state.badInARow + 1;
  const silentSinceMs = result.answered ? null : (state.silentSinceMs ?? nowMs);
  const seen = { ...state, goodInARow: 0, badInARow, silentSinceMs, says: result.says };
  if (state.phase === 'starting') return { ...seen, problem: startProblem(state, result, health, nowMs) };
  if (badInARow < health.unhealthyAfter) return seen;
  return { ...seen, phase: 'unhealthy', problem: result.says };
}

function startProblem(
  state: HealthState,
  { answered, says }: { answered: boolean; says: string },
  health: HealthSpec,
  nowMs: number,
): string | null {
  if (isLate(state, health, nowMs)) return `not ready within ${inSeconds(health.startWithinMs)} of its start: ${says}`;
  return answered || nowMs - state.startedMs >= quietStartMs ? says : null;
}

/** Whether it is still starting after the time that a start may take. */
export function isLate(state: HealthState, health: HealthSpec, nowMs: number): boolean {
  return state.phase === 'starting' && nowMs - state.startedMs >= health.startWithinMs;
}

function inSeconds(ms: number): string {
  return `${Number((ms / 1000).toFixed(1))} s`;
}

/**
 * A process that has not answered anything for `startWithinMs` hangs and is started anew. One that answers, even "503",
 * is left alone: restarting every instance because a shared dependency is down makes the outage worse.
 */
export function isHung(state: HealthState, health: HealthSpec, nowMs: number): boolean {
  return state.silentSinceMs !== null && nowMs - state.silentSinceMs >= health.startWithinMs;
}

/**
 * What is told of a process: until it answers or is late, one that starts again after a failure keeps saying why it ended (`lastFailure`):
 * its silence says less.
 */
export function shownProblem(
  state: HealthState,
  lastFailure: string | null,
  health: HealthSpec,
  nowMs: number,
): string | null {
  const silent = state.phase === 'starting' && state.silentSinceMs !== null && !isLate(state, health, nowMs);
  return silent ? (lastFailure ?? state.problem) : state.problem;
}

/** Why it is started anew. */
export function hangProblem({ says }: HealthState, health: HealthSpec): string {
  const silence = `did not answer for ${inSeconds(health.startWithinMs)}`;
  return says === null ? silence : `${silence}: ${says}`;
}

const fastestProbeMs = 100;

/** Until its first good answer a process is asked more often, so that a start does not wait for a slow schedule. */
export function nextProbeMs(state: HealthState, health: HealthSpec): number {
  return state.phase === 'starting' ? Math.min(fastestProbeMs, health.everyMs) : health.everyMs;
}

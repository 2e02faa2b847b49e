import { own } from '../lib/own.ts';
import type { ChaosEvent, RevertReason, SlotOutcome } from './events.ts';
import type { RunPlan } from './plan.ts';
import type { Conclusion } from './verdict.ts';

export type RunPhase =
  | 'planned'
  | 'armed'
  | 'injected'
  | 'reverting'
  | 'reverted'
  | 'dirty'
  | 'cleared'
  | 'not-injected';

export interface ChaosRun {
  id: string;
  plan: RunPlan;
  reason: string;
  by: string;
  slotMs: number | null;
  phase: RunPhase;
  plannedAtMs: number;
  injectedAtMs: number | null;
  revertedAtMs: number | null;
  revertReason: RevertReason | null;
  /** Who ended it before its time, and why; null when nobody did. */
  stopped: { by: string; reason: string } | null;
  dirty: string | null;
  conclusion: Conclusion | null;
}

/** A fold over the ledger, plain data. */
export interface ChaosState {
  runs: Record<string, ChaosRun>;
  /** How many runs there were; names the next one. */
  count: number;
  /** Per experiment: the newest slot that was dealt with, and what came of it. */
  slots: Record<string, { slotMs: number; missed: number; outcome: SlotOutcome }>;
}

export function emptyChaos(): ChaosState {
  return { runs: {}, count: 0, slots: {} };
}

/** Not finished: something is, was just, or is about to be in force, and nothing is concluded yet. */
export function isOpen(run: ChaosRun): boolean {
  return run.conclusion === null && run.phase !== 'dirty' && run.phase !== 'cleared';
}

/** Something may have been injected and has not been shown to be gone. */
export function mayBeInForce(run: ChaosRun): boolean {
  return run.phase === 'armed' || run.phase === 'injected' || run.phase === 'reverting';
}

export function evolve(state: ChaosState, event: ChaosEvent, context: { atMs: number; by: string }): ChaosState {
  if (event.type === 'chaos.slot.considered') {
    const { experiment, slotMs, missed, outcome } = event.data;
    return { ...state, slots: { ...state.slots, [experiment]: { slotMs, missed, outcome } } };
  }
  const { run: id } = event.data;
  if (event.type === 'chaos.planned') {
    const { plan, reason, slotMs } = event.data;
    const run: ChaosRun = {
      ...{ id, plan, reason, slotMs, by: context.by, phase: 'planned', plannedAtMs: context.atMs },
      ...{ injectedAtMs: null, revertedAtMs: null, revertReason: null, stopped: null, dirty: null, conclusion: null },
    };
    return { ...state, count: state.count + 1, runs: { ...state.runs, [id]: run } };
  }
  const before = own(state.runs, id);
  if (!before) return state;
  return { ...state, runs: { ...state.runs, [id]: evolveRun(before, event, context.by) } };
}

type RunEvent = Exclude<ChaosEvent, { type: 'chaos.slot.considered' | 'chaos.planned' }>;

function evolveRun(run: ChaosRun, event: RunEvent, by: string): ChaosRun {
  switch (event.type) {
    case 'chaos.armed':
      return { ...run, phase: 'armed' };
    case 'chaos.injected':
      return { ...run, phase: 'injected', injectedAtMs: event.data.atMs };
    case 'chaos.stop.requested':
      return { ...run, stopped: { by, reason: event.data.reason } };
    case 'chaos.reverting':
      return { ...run, phase: 'reverting', revertReason: event.data.why };
    case 'chaos.reverted':
      return { ...run, phase: 'reverted', revertedAtMs: event.data.atMs };
    case 'chaos.dirty':
      return { ...run, phase: 'dirty', dirty: event.data.why };
    case 'chaos.cleared':
      return { ...run, phase: 'cleared' };
    case 'chaos.concluded': {
      const phase = run.phase === 'planned' ? 'not-injected' : run.phase;
      // Earlier versions recorded no presence.
      return {
        ...run,
        phase,
        conclusion: { ...event.data.conclusion, presence: event.data.conclusion.presence ?? null },
      };
    }
  }
}

import type { Actor, JsonObject, NewEvent } from '../ledger/record.ts';
import type { RunPlan } from './plan.ts';
import type { Conclusion } from './verdict.ts';

interface AboutRun {
  run: string;
}

/**
 * What can happen to a rehearsal. `armed` is durable before anything is injected, so whatever is found `armed`,
 * `injected` or `reverting` after a crash may be in force and is reverted first.
 */
export type ChaosEvent =
  | { type: 'chaos.planned'; data: AboutRun & { plan: RunPlan; reason: string; slotMs: number | null } }
  /** Opens the silence of the service's alerts. */
  | { type: 'chaos.armed'; data: AboutRun & { service: string; untilMs: number } }
  | { type: 'chaos.injected'; data: AboutRun & { atMs: number } }
  /** A person wants it gone before its time. */
  | { type: 'chaos.stop.requested'; data: AboutRun & { reason: string } }
  | { type: 'chaos.reverting'; data: AboutRun & { why: RevertReason } }
  /** Shown to be gone by observation. Closes the silence. */
  | { type: 'chaos.reverted'; data: AboutRun & { atMs: number; tookMs: number } }
  | { type: 'chaos.dirty'; data: AboutRun & { why: string } }
  | { type: 'chaos.cleared'; data: AboutRun & { reason: string } }
  | { type: 'chaos.concluded'; data: AboutRun & { conclusion: Conclusion } }
  /** A slot of the schedule was dealt with; `missed` earlier ones passed without a run. */
  | {
      type: 'chaos.slot.considered';
      data: { experiment: string; slotMs: number; missed: number; outcome: SlotOutcome };
    };

export type RevertReason =
  | 'time'
  | 'stopped'
  | 'stop-condition'
  | 'no-data'
  /** Somebody or something else ended the fault. */
  | 'lost'
  | 'controller-ended'
  | 'found-after-restart'
  | 'failed';
export type SlotOutcome = { kind: 'ran'; run: string } | { kind: 'refused'; why: string };

/** Ends of runs may use the ledger's reserve: reverting is never held up by a full disk. */
export function isLowering(event: ChaosEvent): boolean {
  return event.type !== 'chaos.planned' && event.type !== 'chaos.armed' && event.type !== 'chaos.slot.considered';
}

export function toNewEvent(event: ChaosEvent, actor: Actor): NewEvent {
  const stream = 'run' in event.data ? `chaos/${event.data.run}` : 'chaos';
  return { type: event.type, stream, actor, data: event.data as unknown as JsonObject };
}

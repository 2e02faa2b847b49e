import { openCron } from '../lib/cron.ts';
import type { ChaosSpec, ScheduleSpec } from '../spec/chaos-model.ts';

/** Slots of one experiment that are looked back at, at most; older ones are not counted as missed one by one. */
const lookBackMax = 1_000;

export interface DueRun {
  /** The slot to run for: the newest that has come. */
  slotMs: number;
  /** Earlier slots that passed without a run (the controller was down, or a run was still going). */
  missed: number;
}

/**
 * What is due at `nowMs` when everything up to and including `consideredMs` has been dealt with. However long the
 * controller was away, at most one run catches up. Slots are in UTC: a change of local time moves nothing.
 */
export function dueRun(schedule: ScheduleSpec, consideredMs: number, nowMs: number): DueRun | null {
  const slots =
    schedule.kind === 'every'
      ? everySlots(schedule.everyMs, consideredMs, nowMs)
      : cronSlots(schedule.cron, consideredMs, nowMs);
  return slots.newestMs === null ? null : { slotMs: slots.newestMs, missed: slots.count - 1 };
}

interface Slots {
  newestMs: number | null;
  count: number;
}

function everySlots(everyMs: number, afterMs: number, untilMs: number): Slots {
  const count = Math.floor(untilMs / everyMs) - Math.floor(afterMs / everyMs);
  return count <= 0 ? { newestMs: null, count: 0 } : { newestMs: Math.floor(untilMs / everyMs) * everyMs, count };
}

function cronSlots(line: string, afterMs: number, untilMs: number): Slots {
  const cron = openCron(line);
  let newestMs: number | null = null;
  let count = 0;
  let at = cron.nextRun(new Date(afterMs));
  while (at !== null && at.getTime() <= untilMs && count < lookBackMax) {
    newestMs = at.getTime();
    count++;
    at = cron.nextRun(at);
  }
  // Away for more slots than are counted one by one: go on from the newest one all the same.
  if (at !== null && at.getTime() <= untilMs)
    newestMs = cron.previousRuns(1, new Date(untilMs + 1))[0]?.getTime() ?? newestMs;
  return { newestMs, count };
}

/** When the experiment runs next, for lists; null when never. */
export function nextSlotMs(schedule: ScheduleSpec, nowMs: number): number | null {
  if (schedule.kind === 'every') return (Math.floor(nowMs / schedule.everyMs) + 1) * schedule.everyMs;
  return openCron(schedule.cron).nextRun(new Date(nowMs))?.getTime() ?? null;
}

/** Why nothing may start now; null when it may. */
export function frozenBy(chaos: ChaosSpec, nowMs: number): string | null {
  return chaos.freeze.find(({ fromMs, toMs }) => nowMs >= fromMs && nowMs < toMs)?.why ?? null;
}

import { own } from '../lib/own.ts';
import type { ErrorClass } from '../spec/model.ts';
import type { CounterSnapshot, InstanceCounters, OutcomeCounts, ServiceCounters } from './source.ts';
import type { InstanceTick, Tick } from './tick.ts';

/** A tick, or why there is none. A problem is never turned into zeros. */
export type TickResult = { tick: Tick; problem: null } | { tick: null; problem: string };

export interface TickQuestion {
  service: string;
  versions: string[];
  errors: ErrorClass[];
  /** Seconds to put on the tick. */
  t: number;
  /** Age of an instance in ms, when known. */
  ageMs: (instance: string) => number | null;
}

/**
 * What happened between two readings of the weighted cohort's first tries. Counters of a restarted source, a clock that
 * stood still, or counts that shrank give no tick: the look is missing, not zero.
 */
export function tickBetween(before: CounterSnapshot, after: CounterSnapshot, question: TickQuestion): TickResult {
  if (before.bootId !== after.bootId) return none('the data plane restarted and counts from 0 again');
  const dtMs = after.monoMs - before.monoMs;
  if (!(dtMs > 0)) return none('the data plane answered with an older reading');
  const now = serviceOf(after, question.service);
  if (!now) return none(`the data plane counts nothing for ${question.service}`);
  const then = serviceOf(before, question.service);
  if (then && then.edgesMs.join() !== now.edgesMs.join()) return none('the latency edges changed');
  const versions = Object.fromEntries(question.versions.map((version): [string, InstanceTick[]] => [version, []]));
  for (const counters of now.instances) {
    const list = counters.cohort === 'weight' ? own(versions, counters.version) : undefined;
    if (!list) continue;
    const tick = instanceTick(then && sameInstance(then, counters), counters, question);
    if (!tick) return none(`a counter of ${counters.instance} went backwards or is no number`);
    list.push(tick);
  }
  return { tick: { t: question.t, dtMs, edges: now.edgesMs, versions }, problem: null };
}

function none(problem: string): TickResult {
  return { tick: null, problem };
}

function serviceOf(snapshot: CounterSnapshot, name: string): ServiceCounters | undefined {
  return snapshot.services.find((service) => service.service === name);
}

function sameInstance(then: ServiceCounters, counters: InstanceCounters): InstanceCounters | undefined {
  return then.instances.find(
    (other) =>
      other.instance === counters.instance && other.version === counters.version && other.cohort === counters.cohort,
  );
}

function instanceTick(
  then: InstanceCounters | undefined,
  now: InstanceCounters,
  question: TickQuestion,
): InstanceTick | null {
  const requests = judgedOf(now.firstTry) - (then ? judgedOf(then.firstTry) : 0);
  const errors = errorsOf(now.firstTry, question.errors) - (then ? errorsOf(then.firstTry, question.errors) : 0);
  const late = now.firstTry.over.map((count, edge) => count - (then?.firstTry.over[edge] ?? 0));
  // What the gateway ended by itself may have been slow: that many are not among the requests.
  const over = late.map((count) => Math.min(count, requests));
  if (![requests, errors, ...over].every((count) => Number.isFinite(count) && count >= 0)) return null;
  const ageMs = question.ageMs(now.instance);
  return { instance: now.instance, requests, errors, over, ...(ageMs === null ? {} : { ageMs }) };
}

/** What speaks for or against the version. */
function judgedOf({ requests, unjudged = 0 }: OutcomeCounts): number {
  return requests - unjudged;
}

function errorsOf(counts: OutcomeCounts, classes: ErrorClass[]): number {
  let sum = 0;
  for (const name of classes) {
    if (name === '5xx') sum += counts.status5xx;
    else if (name === '4xx') sum += counts.status4xx;
    else if (name === 'timeout') sum += counts.timeouts;
    else sum += counts.resets;
  }
  return sum;
}

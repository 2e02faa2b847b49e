import { own } from '../lib/own.ts';
import type { ErrorClass } from '../spec/model.ts';
import type {
  ClientCounters,
  CounterSnapshot,
  InstanceCounters,
  OutcomeCounts,
  ServiceCounters,
  UnservedCounts,
} from './source.ts';
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
  const clients = clientTick(then, now, question.versions);
  if (clients === null) return none('a count of dealt clients went backwards or is no number');
  return { tick: { t: question.t, dtMs, edges: now.edgesMs, versions, ...clients }, problem: null };
}

function none(problem: string): TickResult {
  return { tick: null, problem };
}

/** Nothing where requests are dealt; null when the counts make no sense. Counts that began since the first reading begin at 0. */
function clientTick(
  then: ServiceCounters | undefined,
  now: ServiceCounters,
  versions: readonly string[],
): Pick<Tick, 'clients'> | null {
  if (now.clients === undefined) return {};
  const before = then?.clients;
  const dealt = versions.map((version): [string, number] => {
    return [version, dealtTo(now.clients, version) - dealtTo(before, version)];
  });
  const diverted = now.clients.diverted - (before?.diverted ?? 0);
  const sane = [diverted, ...dealt.map(([, count]) => count)].every((count) => Number.isFinite(count) && count >= 0);
  return sane ? { clients: { dealt: Object.fromEntries(dealt), diverted } } : null;
}

function dealtTo(clients: ClientCounters | undefined, version: string): number {
  return own(clients?.dealt, version) ?? 0;
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
  const started = startedOf(now) - (then ? startedOf(then) : 0);
  if (![requests, errors, started, ...over].every((count) => Number.isFinite(count) && count >= 0)) return null;
  const waiting = waitingChange(then, now, over);
  const unanswered = now.waiting?.unanswered ?? 0;
  // What waited too long and is in no count of ends is not taken back either.
  const overdue = Math.max((now.waiting?.overdue ?? 0) - (then?.waiting?.overdue ?? 0), 0 - requests);
  const extra = beyondErrors(now, question.errors) - (then ? beyondErrors(then, question.errors) : 0);
  const unserved = Math.min(Math.max(extra, 0 - errors), requests + overdue - errors);
  if (![unanswered, overdue, unserved, ...waiting].every(Number.isFinite)) return null;
  const ageMs = question.ageMs(now.instance);
  return {
    ...{ instance: now.instance, requests, errors, over },
    ...(started === requests ? {} : { started }),
    ...(waiting.every((change) => change === 0) ? {} : { waiting }),
    ...(unanswered === 0 ? {} : { unanswered }),
    ...(unserved === 0 ? {} : { unserved }),
    ...(overdue === 0 ? {} : { overdue }),
    ...(ageMs === null ? {} : { ageMs }),
  };
}

/** What speaks for or against the version. */
function judgedOf({ requests, unjudged = 0 }: OutcomeCounts): number {
  return requests - unjudged;
}

/** Requests without an answer in time that are no errors, or not yet. */
function beyondErrors({ unserved, waiting }: InstanceCounters, classes: ErrorClass[]): number {
  const ended = unserved === undefined ? 0 : unserved.requests - errorsOf(unserved, classes);
  return ended + (waiting?.overdue ?? 0);
}

function startedOf({ started, firstTry }: InstanceCounters): number {
  return started ?? firstTry.requests;
}

/**
 * Requests that waited and ended since are among `over`. Those that are in neither went with the process that held them, or were ended by
 * the gateway itself, and are not taken back: what was seen of them was true.
 */
function waitingChange(then: InstanceCounters | undefined, now: InstanceCounters, over: readonly number[]): number[] {
  const before = then?.waiting?.over;
  return over.map((count, edge) => {
    const change = (now.waiting?.over[edge] ?? 0) - (before?.[edge] ?? 0);
    return Math.max(change, 0 - count);
  });
}

function errorsOf(counts: UnservedCounts, classes: ErrorClass[]): number {
  let sum = 0;
  for (const name of classes) {
    if (name === '5xx') sum += counts.status5xx;
    else if (name === '4xx') sum += counts.status4xx;
    else if (name === 'timeout') sum += counts.timeouts;
    else sum += counts.resets;
  }
  return sum;
}

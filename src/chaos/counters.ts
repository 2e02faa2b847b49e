import type { CounterSnapshot, OutcomeCounts, ServiceCounters } from '../metrics/source.ts';
import type { InstanceDelta, ServiceDelta } from './observation.ts';

/** The name under which the gateway's own answers stand among the instances. */
const gatewayItself = '(gateway)';

/**
 * What clients of a service saw between two readings: final outcomes, both cohorts, and the gateway's own refusals, which
 * a caller cannot tell from the service's. With `firstTry` it is what the instances did instead: a request that came to
 * an instance after waiting for another one must not count against it. Null when the readings do not belong together:
 * no data is never a number.
 */
export function serviceDelta(
  before: CounterSnapshot,
  after: CounterSnapshot,
  name: string,
  view: 'outcome' | 'firstTry' = 'outcome',
): ServiceDelta | null {
  if (before.bootId !== after.bootId) return null;
  const now = after.services.find((service) => service.service === name);
  const then = before.services.find((service) => service.service === name);
  if (!now || !then || then.edgesMs.join() !== now.edgesMs.join()) return null;
  const instances = new Map<string, InstanceDelta>();
  for (const counters of now.instances) {
    const old = then.instances.find(
      (one) => one.instance === counters.instance && one.version === counters.version && one.cohort === counters.cohort,
    );
    const delta = difference(counters[view], old?.[view]);
    if (delta === null) return null;
    instances.set(
      counters.instance,
      added(instances.get(counters.instance), { instance: counters.instance, ...delta }),
    );
  }
  const own = view === 'outcome' ? ownFailures(now) - ownFailures(then) : 0;
  if (own < 0) return null;
  if (own > 0) instances.set(gatewayItself, ownDelta(own, now.edgesMs.length));
  return { edgesMs: now.edgesMs, instances: [...instances.values()] };
}

/**
 * First tries that went to the chosen instances between two readings, counted when they were sent. Null when the readings
 * do not belong together, or when the source counts requests at their end only: a fault may hold them longer than a look lasts.
 */
export function startedBetween(
  before: CounterSnapshot,
  after: CounterSnapshot,
  name: string,
  isChosen: (instance: string, version: string) => boolean,
): number | null {
  const then = startedOf(before, name, isChosen);
  const now = startedOf(after, name, isChosen);
  if (before.bootId !== after.bootId || then === null || now === null || now < then) return null;
  return now - then;
}

function startedOf(
  { services }: CounterSnapshot,
  name: string,
  isChosen: (instance: string, version: string) => boolean,
): number | null {
  const chosen = services
    .find((one) => one.service === name)
    ?.instances.filter((one) => isChosen(one.instance, one.version));
  if (!chosen || chosen.some((one) => one.started === undefined)) return null;
  return chosen.reduce((sum, one) => sum + one.started!, 0);
}

function difference(now: OutcomeCounts, then: OutcomeCounts | undefined): Omit<InstanceDelta, 'instance'> | null {
  const requests = now.requests - (then?.requests ?? 0);
  const errors = failures(now) - (then ? failures(then) : 0);
  const over = now.over.map((count, edge) => count - (then?.over[edge] ?? 0));
  return [requests, errors, ...over].every((count) => Number.isFinite(count) && count >= 0)
    ? { requests, errors, over }
    : null;
}

function failures(counts: OutcomeCounts): number {
  return counts.status5xx + counts.timeouts + counts.resets;
}

/** The limiter's 429 is its purpose, a bad request the client's fault, a deadline the client's own: none says anything about the service. */
function ownFailures({ own }: ServiceCounters): number {
  const { breaker, injected, noUpstream, answerLimit, connectionClosed, exhausted, streamIdle } = own;
  return breaker + injected + noUpstream + answerLimit + connectionClosed + exhausted + streamIdle;
}

function ownDelta(count: number, edges: number): InstanceDelta {
  return { instance: gatewayItself, requests: count, errors: count, over: new Array<number>(edges).fill(0) };
}

function added(before: InstanceDelta | undefined, delta: InstanceDelta): InstanceDelta {
  if (!before) return delta;
  return {
    instance: delta.instance,
    requests: before.requests + delta.requests,
    errors: before.errors + delta.errors,
    over: delta.over.map((count, edge) => count + (before.over[edge] ?? 0)),
  };
}

/** The delta of some instances only. */
export function only(delta: ServiceDelta, ids: readonly string[]): ServiceDelta {
  return { ...delta, instances: delta.instances.filter((one) => ids.includes(one.instance)) };
}

/** Deltas that follow one another, as one. Null when their edges differ. */
export function joined(deltas: readonly ServiceDelta[]): ServiceDelta | null {
  const edgesMs = deltas[0]?.edgesMs;
  if (!edgesMs || deltas.some((delta) => delta.edgesMs.join() !== edgesMs.join())) return null;
  const instances = new Map<string, InstanceDelta>();
  for (const one of deltas.flatMap((delta) => delta.instances)) {
    instances.set(one.instance, added(instances.get(one.instance), one));
  }
  return { edgesMs, instances: [...instances.values()] };
}

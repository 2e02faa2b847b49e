import { quantileMs } from '../metrics/quantile.ts';
import type { CallerCounters, CounterSnapshot, OutcomeCounts, ServiceCounters } from '../metrics/source.ts';
import type { Spec } from '../spec/model.ts';

/** What flowed between two readings: rates, errors and latency, and the edges from caller to service. All pure. */

export interface Sum {
  requests: number;
  errors: number;
  over: number[];
}

/** @param then the earlier reading of the same counts; absent when they began since. */
export function changeOf(then: OutcomeCounts | undefined, now: OutcomeCounts): Sum {
  const errors = (c: OutcomeCounts): number => c.status5xx + c.timeouts + c.resets;
  return {
    requests: now.requests - (then?.requests ?? 0),
    errors: errors(now) - (then ? errors(then) : 0),
    over: now.over.map((count, edge) => count - (then?.over[edge] ?? 0)),
  };
}

export function total(changes: readonly Sum[]): Sum {
  const sum: Sum = { requests: 0, errors: 0, over: [] };
  for (const change of changes) {
    sum.requests += change.requests;
    sum.errors += change.errors;
    change.over.forEach((count, edge) => {
      sum.over[edge] = (sum.over[edge] ?? 0) + count;
    });
  }
  return sum;
}

export function flowOf({ requests, errors, over }: Sum, edgesMs: number[], windowMs: number) {
  const at = (quantile: number): number | null => quantileMs(edgesMs, over, requests, quantile);
  return {
    perSecond: windowMs > 0 ? (requests * 1000) / windowMs : 0,
    errorShare: requests > 0 ? errors / requests : null,
    p50Ms: at(0.5),
    p95Ms: at(0.95),
    p99Ms: at(0.99),
  };
}

/** Every pair of caller and service that was ever seen since the data plane started, with what flowed in the window. */
export function edgesBetween(before: CounterSnapshot, after: CounterSnapshot, windowMs: number) {
  return after.services.flatMap((now) => {
    const then = before.services.find((one) => one.service === now.service);
    return (now.callers ?? []).map((caller) => ({
      from: { kind: caller.kind, name: caller.caller },
      to: now.service,
      ...flowOf(changeOf(sameCaller(then, caller)?.outcome, caller.outcome), now.edgesMs, windowMs),
      lastAtMs: caller.lastAtMs,
    }));
  });
}

function sameCaller(then: ServiceCounters | undefined, now: CallerCounters): CallerCounters | undefined {
  return then?.callers?.find((one) => one.caller === now.caller && one.kind === now.kind);
}

/** Who is declared to call whom: an environment value of the caller holds the port of the other. */
export function declaredCalls(spec: Spec): { from: string; to: string }[] {
  const calls: { from: string; to: string }[] = [];
  const services = Object.values(spec.services);
  for (const from of services) {
    const values = Object.values(from.versions).flatMap((version) => Object.values(version.env));
    for (const to of services) {
      const port = new RegExp(`(127\\.0\\.0\\.1|localhost|\\[::1\\]):${to.listenPort}(?!\\d)`);
      if (to !== from && values.some((value) => port.test(value))) calls.push({ from: from.name, to: to.name });
    }
  }
  return calls;
}

import type { GatewayProbeSpec, ProbeSpec } from '../spec/chaos-model.ts';

/** Requests of one stretch of time and how many of them broke one limit. */
export interface Count {
  requests: number;
  bad: number;
}

/** One limit of one probe. */
export interface CheckSpec {
  probe: string;
  /** `answers`, `errors`, `p95` … */
  what: string;
  /** Share of bad requests that is still good. */
  allowedBadShare: number;
  minRequests: number;
}

export interface Check extends CheckSpec, Count {
  /** Null: too few requests to say. Never true without data. */
  holds: boolean | null;
}

/** The limits of a probe, in the order in which its counts come. */
export function checksOf(probe: ProbeSpec): CheckSpec[] {
  if (probe.kind === 'http') {
    return [{ probe: probe.name, what: 'answers', allowedBadShare: 1 - probe.goodShare, minRequests: 1 }];
  }
  const base = { probe: probe.name, minRequests: probe.minRequests };
  const errors = probe.errorShare === null ? [] : [{ ...base, what: 'errors', allowedBadShare: probe.errorShare }];
  const latency = probe.latency.map(({ quantile }) => ({
    ...base,
    what: quantileName(quantile),
    allowedBadShare: 1 - quantile,
  }));
  return [...errors, ...latency];
}

export function judgeCheck(spec: CheckSpec, count: Count): Check {
  const enough = count.requests >= spec.minRequests && count.requests > 0;
  // A share such as 1 - 0.95 is not exact in binary; the smallest possible excess is one request.
  const holds = enough ? count.bad <= spec.allowedBadShare * count.requests + 1e-9 : null;
  return { ...spec, ...count, holds };
}

/** True: all hold. False: one is broken. Null: none is broken, but not all can be told. */
export function allHold(checks: readonly Check[]): boolean | null {
  if (checks.some((check) => check.holds === false)) return false;
  return checks.every((check) => check.holds === true) ? true : null;
}

export function sumCounts(counts: readonly Count[]): Count {
  return counts.reduce((sum, one) => ({ requests: sum.requests + one.requests, bad: sum.bad + one.bad }), {
    requests: 0,
    bad: 0,
  });
}

export function describeCheck(check: Check): string {
  const limit = `${percent(check.allowedBadShare)} allowed`;
  const seen = `${check.bad} of ${check.requests} bad`;
  const verdict = check.holds === null ? `needs ${check.minRequests}` : check.holds ? 'holds' : 'broken';
  return `${check.probe} ${check.what}: ${seen}, ${limit}, ${verdict}`;
}

const percent = (share: number): string => `${Number((100 * share).toFixed(2))} %`;
const quantileName = (quantile: string | number): string => `p${Number((100 * Number(quantile)).toFixed(1))}`;

/** What the gateway counted for one instance in one stretch of time. */
export interface InstanceDelta {
  instance: string;
  requests: number;
  errors: number;
  /** Requests slower than each edge. */
  over: number[];
}

export interface ServiceDelta {
  edgesMs: number[];
  instances: InstanceDelta[];
}

/** A latency limit between two edges is held against the edge below it: the check may be stricter, never laxer. */
export function gatewayCounts(probe: GatewayProbeSpec, delta: ServiceDelta): Count[] {
  const requests = total(delta.instances.map((one) => one.requests));
  const errors = probe.errorShare === null ? [] : [{ requests, bad: total(delta.instances.map((one) => one.errors)) }];
  const latency = probe.latency.map(({ underMs }) => {
    const edge = delta.edgesMs.findLastIndex((at) => at <= underMs);
    const bad = edge === -1 ? requests : total(delta.instances.map((one) => one.over[edge] ?? 0));
    return { requests, bad };
  });
  return [...errors, ...latency];
}

/** A quantile (ms) from counts over edges, by straight lines between them; null without requests. */
export function quantileOf(edgesMs: readonly number[], instances: readonly InstanceDelta[], q: number): number | null {
  const requests = total(instances.map((one) => one.requests));
  if (requests === 0) return null;
  const allowed = (1 - q) * requests;
  let beforeMs = 0;
  let beforeOver = requests;
  for (const [i, edgeMs] of edgesMs.entries()) {
    const over = total(instances.map((one) => one.over[i] ?? 0));
    if (over <= allowed) {
      const share = beforeOver === over ? 0 : (beforeOver - allowed) / (beforeOver - over);
      return beforeMs + share * (edgeMs - beforeMs);
    }
    beforeMs = edgeMs;
    beforeOver = over;
  }
  return edgesMs.at(-1) ?? null;
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

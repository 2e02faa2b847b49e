import { outcomeOf } from '../analysis/replay/prometheus-outcome.ts';
import { setOwn } from '../lib/own.ts';
import type { ErrorClass } from '../spec/model.ts';

/** One sample of the Prometheus text format. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const samplesMax = 200_000;

/** Reads Prometheus text (exposition format 0.0.4). Lines that are not samples are skipped; the number of samples is bounded. */
export function parseExposition(text: string): Sample[] {
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!match) continue;
    const value = match[3] === '+Inf' ? Number.POSITIVE_INFINITY : Number(match[3]);
    if (Number.isNaN(value)) continue;
    samples.push({ name: match[1]!, labels: parseLabels(match[2] ?? ''), value });
    if (samples.length >= samplesMax) break;
  }
  return samples;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g)) {
    const plain = value!.replace(/\\(["\\n])/g, (_, char: string) => (char === 'n' ? '\n' : char));
    setOwn(labels, name!, plain);
  }
  return labels;
}

export interface ServiceFigures {
  service: string;
  requests: number;
  failed: number;
  /** Of the gateway's own answers: limiter, breaker and the like. */
  own: number;
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
}

/** Requests, failures and latency of a service since its gateway started, from the Istio-named metrics. */
export function serviceFigures(samples: readonly Sample[], service: string): ServiceFigures {
  const mine = samples.filter((sample) => sample.labels.destination_service_name === service);
  const requests = mine.filter((sample) => sample.name === 'istio_requests_total');
  const byVersion = requests.filter((sample) => sample.labels.destination_version !== 'unknown');
  const sum = (list: readonly Sample[]): number => list.reduce((total, sample) => total + sample.value, 0);
  const failed = byVersion.filter((sample) => isFailure(outcomeOf(sample.labels)));
  const buckets = mine.filter((sample) => sample.name === 'istio_request_duration_milliseconds_bucket');
  return {
    service,
    requests: sum(byVersion),
    failed: sum(failed),
    own: sum(requests) - sum(byVersion),
    p50Ms: quantile(buckets, 0.5),
    p95Ms: quantile(buckets, 0.95),
    p99Ms: quantile(buckets, 0.99),
  };
}

/** A client's own mistake, or its leaving, is no failure of the version. */
function isFailure(outcome: ErrorClass | null): boolean {
  return outcome !== null && outcome !== '4xx';
}

/** The bucket's upper edge within which the quantile lies: a bound that holds, not an interpolation. */
function quantile(buckets: readonly Sample[], q: number): number | null {
  const byEdge = new Map<number, number>();
  for (const { labels, value } of buckets) {
    const edge = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
    byEdge.set(edge, (byEdge.get(edge) ?? 0) + value);
  }
  const edges = [...byEdge].sort((a, b) => a[0] - b[0]);
  const total = edges.at(-1)?.[1] ?? 0;
  if (total === 0) return null;
  const found = edges.find(([, count]) => count >= q * total)?.[0] ?? null;
  return found === Number.POSITIVE_INFINITY ? null : found;
}

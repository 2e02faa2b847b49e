import { DavyError } from '../../lib/error.ts';
import { own, setOwn } from '../../lib/own.ts';
import type { InstanceTick, Tick } from '../../metrics/tick.ts';
import type { ErrorClass } from '../../spec/model.ts';
import { analysisErrors } from '../errors.ts';
import { withIntervals } from './csv.ts';

/**
 * Ticks from a Prometheus range query: the JSON answer of `/api/v1/query_range` for the counters
 * `istio_requests_total` and `istio_request_duration_milliseconds_bucket` (or several answers in one array). Counters are
 * turned into counts of each interval; a counter that falls was reset and counts from 0, as PromQL's increase() does.
 */
export function parsePrometheus(text: string, file: string, errors: readonly ErrorClass[], fallbackMs: number): Tick[] {
  const series = seriesOf(text, file);
  const times = [...new Set(series.flatMap((one) => one.values.map(([t]) => t)))].sort((a, b) => a - b);
  const edges = edgesOf(series);
  const counters = series.map((one) => ({ ...one, at: new Map(one.values) }));
  const ticks: Tick[] = [];
  for (let i = 1; i < times.length; i++) {
    const tick: Tick = { t: times[i]!, dtMs: fallbackMs, edges, versions: {} };
    for (const one of counters) {
      const value = one.at.get(times[i]!);
      const before = one.at.get(times[i - 1]!);
      // A series without a sample on either side says nothing about this interval.
      if (value === undefined || before === undefined) continue;
      addTo(tick, one.labels, value >= before ? value - before : value, errors);
    }
    for (const rows of Object.values(tick.versions)) for (const row of rows) closeRow(row);
    ticks.push(tick);
  }
  return withIntervals(ticks, file, fallbackMs);
}

interface Series {
  labels: Record<string, string>;
  values: [number, number][];
}

function seriesOf(text: string, file: string): Series[] {
  const bad = (what: string): DavyError =>
    new DavyError(analysisErrors['bad-ticks'], `${file}: ${what}`, { position: { file } });
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw bad('it is not JSON');
  }
  const out: Series[] = [];
  for (const answer of Array.isArray(parsed) ? parsed : [parsed]) {
    const result = answer?.data?.resultType === 'matrix' ? answer.data.result : null;
    if (!Array.isArray(result)) throw bad('it is not the answer of a range query (data.resultType "matrix")');
    for (const one of result) {
      if (typeof one?.metric !== 'object' || !Array.isArray(one.values))
        throw bad('a series has no metric or no values');
      out.push({ labels: one.metric, values: one.values.map(([t, v]: [number, string]) => [Number(t), Number(v)]) });
    }
  }
  return out;
}

const BUCKET = 'istio_request_duration_milliseconds_bucket';
const TOTAL = 'istio_requests_total';

function edgesOf(series: readonly Series[]): number[] {
  const edges = new Set<number>();
  for (const { labels } of series) {
    const le = Number(labels.le);
    if (labels.__name__ === BUCKET && Number.isFinite(le)) edges.add(le);
  }
  return [...edges].sort((a, b) => a - b);
}

function addTo(tick: Tick, labels: Record<string, string>, count: number, errors: readonly ErrorClass[]): void {
  const version = labels.destination_version ?? labels.version;
  // A series without its version is an aggregate: it says nothing about either arm.
  if (version === undefined) return;
  const name = labels.pod ?? labels.instance ?? version;
  const rows = own(tick.versions, version) ?? [];
  if (rows.length === 0) setOwn(tick.versions, version, rows);
  let row = rows.find((candidate) => candidate.instance === name);
  if (row === undefined) {
    row = { instance: name, requests: 0, errors: 0, over: tick.edges.map(() => 0) };
    rows.push(row);
  }
  if (labels.__name__ === TOTAL) {
    row.requests += count;
    if (isError(labels.response_code ?? '', errors)) row.errors += count;
  } else if (labels.__name__ === BUCKET) {
    const le = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
    // Requests above an edge: everything that was counted, less what was counted up to the edge.
    for (let j = 0; j < row.over.length; j++) {
      if (le === Number.POSITIVE_INFINITY) row.over[j]! += count;
      else if (le === tick.edges[j]) row.over[j]! -= count;
    }
  }
}

function isError(code: string, errors: readonly ErrorClass[]): boolean {
  if (/^5\d\d$/.test(code)) return errors.includes('5xx');
  if (/^4\d\d$/.test(code)) return errors.includes('4xx');
  return code === '0' && errors.includes('reset');
}

/** Two counters of one proxy are read a moment apart: never more slow requests than requests, never fewer than above. */
function closeRow(row: InstanceTick): void {
  let most = row.requests;
  for (let j = 0; j < row.over.length; j++) {
    most = Math.max(0, Math.min(most, row.over[j]!));
    row.over[j] = most;
  }
}

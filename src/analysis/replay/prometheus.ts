import { DavyError } from '../../lib/error.ts';
import { own, setOwn } from '../../lib/own.ts';
import type { InstanceTick, Tick } from '../../metrics/tick.ts';
import type { ErrorClass } from '../../spec/model.ts';
import { analysisErrors } from '../errors.ts';
import { outcomeOf } from './prometheus-outcome.ts';
import { edgesOf, instanceOf, readSeries, type Series, sourceOf, TOTAL, versionOf } from './prometheus-series.ts';

/**
 * Ticks from a Prometheus range query: the JSON answer of `/api/v1/query_range` for the counters `istio_requests_total` and
 * `istio_request_duration_milliseconds_bucket` (or several answers in one array). Counters become counts of each interval:
 *
 * - one that falls was reset and counts from 0, as in PromQL's increase();
 * - one that is born between two samples of its source counts from 0 as well: a label (`response_code="503"`) stands nowhere
 *   until it is needed, and its first count is not lost, as it is by increase();
 * - a source whose first sample comes after the start of the file says nothing up to there: nobody knows when it began.
 */
export function parsePrometheus(text: string, file: string, service: string, errors: readonly ErrorClass[]): Tick[] {
  const { series, seenAt } = readSeries(text, file, service);
  const times = [...new Set(series.flatMap((one) => one.values.map(([t]) => t)))].sort((a, b) => a - b);
  if (times.length < 2) throw new DavyError(analysisErrors['no-ticks'], `${file} has no ticks`, { position: { file } });
  const edges = edgesOf(series);
  const ticks = times.slice(1).map((t, i): Tick => ({ t, dtMs: (t - times[i]!) * 1000, edges, versions: {} }));
  const tickAt = new Map(ticks.map((tick) => [tick.t, tick]));
  for (const one of series) addSeries(one, seenAt.get(sourceOf(one.labels))!, tickAt, errors);
  for (const { versions } of ticks) for (const rows of Object.values(versions)) for (const row of rows) closeRow(row);
  return ticks;
}

function addSeries(
  { labels, values }: Series,
  sourceSeenAt: number,
  tickAt: ReadonlyMap<number, Tick>,
  errors: readonly ErrorClass[],
): void {
  // Its source was there before, and the counter was not: it stood at 0.
  let before = values[0]?.[0] === sourceSeenAt ? null : 0;
  for (const [t, value] of values) {
    const tick = tickAt.get(t);
    // A value that is no number is the judge's to name.
    if (tick !== undefined && before !== null) addTo(tick, labels, value < before ? value : value - before, errors);
    if (Number.isFinite(value)) before = value;
  }
}

function addTo(tick: Tick, labels: Record<string, string>, count: number, errors: readonly ErrorClass[]): void {
  const row = rowOf(tick, labels);
  if (labels.__name__ === TOTAL) {
    const outcome = outcomeOf(labels);
    row.requests += count;
    if (outcome !== null && errors.includes(outcome)) row.errors += count;
    return;
  }
  const le = labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le);
  // Requests above an edge: everything that was counted, less what was counted up to the edge.
  for (let j = 0; j < row.over.length; j++) {
    if (le === Number.POSITIVE_INFINITY) row.over[j]! += count;
    else if (le === tick.edges[j]) row.over[j]! -= count;
  }
}

function rowOf(tick: Tick, labels: Record<string, string>): InstanceTick {
  const version = versionOf(labels)!;
  const rows = own(tick.versions, version) ?? [];
  if (rows.length === 0) setOwn(tick.versions, version, rows);
  const instance = instanceOf(labels);
  let row = rows.find((candidate) => candidate.instance === instance);
  if (row === undefined) {
    row = { instance, requests: 0, errors: 0, over: tick.edges.map(() => 0) };
    rows.push(row);
  }
  return row;
}

/** Two counters of one proxy are read a moment apart: never more slow requests than requests, never fewer than above. */
function closeRow(row: InstanceTick): void {
  let most = row.requests;
  for (let j = 0; j < row.over.length; j++) {
    most = Math.max(0, Math.min(most, row.over[j]!));
    row.over[j] = most;
  }
}

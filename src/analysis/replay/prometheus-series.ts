import { DavyError } from '../../lib/error.ts';
import { listed } from '../../lib/nearest.ts';
import { analysisErrors } from '../errors.ts';
import { isProxysOwn } from './prometheus-outcome.ts';

/** One counter of a range query: its labels, and `[time in s, value]` with the times ascending. */
export interface Series {
  labels: Record<string, string>;
  values: [number, number][];
}

export const TOTAL = 'istio_requests_total';
const BUCKET = 'istio_request_duration_milliseconds_bucket';

/** The labels that say whom a series is about, in the order in which they are looked for. */
const INSTANCE_LABELS = ['destination_instance', 'pod', 'instance'] as const;

/** What a file holds of one service. */
interface Recording {
  series: Series[];
  /** When each source gave its first sample of anything. */
  seenAt: ReadonlyMap<string, number>;
}

/**
 * The two counters of one service from the JSON answer of `/api/v1/query_range`, or from several answers in one array (a series that
 * stands in several is one). What would be counted wrongly is refused with `analysis/bad-ticks`: answers of other metrics or without names, requests reported by both
 * sides, several services of which none is `service`, histograms that lack an edge, and answers on different grids of time.
 */
export function readSeries(text: string, file: string, service: string): Recording {
  const bad = (what: string): DavyError =>
    new DavyError(analysisErrors['bad-ticks'], `${file}: ${what}`, { position: { file } });
  const all = joined(matricesOf(text, bad), bad);
  const named = all.filter((one) => one.labels.__name__ === TOTAL || one.labels.__name__ === BUCKET);
  if (all.length > 0 && named.length === 0) throw bad(`it has no series of ${TOTAL}; ${foundInstead(all)}`);
  const series = ofService(named, service, bad).filter(isJudged);
  const problem = reporterProblem(series) ?? versionProblem(series) ?? edgeProblem(series) ?? gridProblem(series);
  if (problem !== null) throw bad(problem);
  return { series, seenAt: firstSamples(all) };
}

/** The instance that a series is about. Davy's gateway and a mesh's proxies name it; else it is what was scraped, else the version. */
export function instanceOf(labels: Record<string, string>): string {
  const label = INSTANCE_LABELS.find((name) => labels[name] !== undefined);
  return label === undefined ? (versionOf(labels) ?? '') : labels[label]!;
}

/** What was scraped: the pod of a mesh, or a gateway that counts for all instances. */
export function sourceOf(labels: Record<string, string>): string {
  return JSON.stringify([labels.job, labels.instance ?? labels.pod ?? instanceOf(labels)]);
}

export function versionOf(labels: Record<string, string>): string | undefined {
  return labels.destination_version ?? labels.version;
}

function matricesOf(text: string, bad: (what: string) => DavyError): Series[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw bad('it is not JSON');
  }
  return (Array.isArray(parsed) ? parsed : [parsed]).flatMap((answer) => {
    const result: unknown = answer?.data?.resultType === 'matrix' ? answer.data.result : null;
    if (!Array.isArray(result)) throw bad('it is not the answer of a range query (data.resultType "matrix")');
    return result.map((one) => {
      if (typeof one?.metric !== 'object' || one.metric === null || !Array.isArray(one.values))
        throw bad('a series has no metric or no values');
      const values = one.values.map(([t, value]: [number, string]): [number, number] => [Number(t), Number(value)]);
      return { labels: one.metric as Record<string, string>, values };
    });
  });
}

/** A long range is asked for in parts: the same labels are the same counter. */
function joined(series: readonly Series[], bad: (what: string) => DavyError): Series[] {
  const byLabels = new Map<string, { labels: Series['labels']; values: Map<number, number> }>();
  for (const { labels, values } of series) {
    const key = JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
    const known = byLabels.get(key) ?? { labels, values: new Map() };
    byLabels.set(key, known);
    for (const [t, value] of values) {
      const before = known.values.get(t);
      if (before !== undefined && before !== value)
        throw bad(`a series of ${labels.__name__ ?? 'no name'} has two values at ${t} s: ${before} and ${value}`);
      known.values.set(t, value);
    }
  }
  return [...byLabels.values()].map(({ labels, values }) => ({
    labels,
    values: [...values].sort(([a], [b]) => a - b),
  }));
}

function firstSamples(series: readonly Series[]): Map<string, number> {
  const first = new Map<string, number>();
  for (const { labels, values } of series) {
    const source = sourceOf(labels);
    first.set(
      source,
      Math.min(values[0]?.[0] ?? Number.POSITIVE_INFINITY, first.get(source) ?? Number.POSITIVE_INFINITY),
    );
  }
  return first;
}

function foundInstead(all: readonly Series[]): string {
  const names = new Set(all.map((one) => one.labels.__name__));
  if (names.has(undefined)) return `a series has no name, as after sum() or rate(): query ${TOTAL} itself`;
  return `it has ${listed([...names].slice(0, 5) as string[])}`;
}

function ofService(series: Series[], service: string, bad: (what: string) => DavyError): Series[] {
  const serviceOf = ({ labels }: Series): string | undefined =>
    labels.destination_service_name ?? labels.destination_service;
  const names = new Set(series.map(serviceOf));
  if (names.size <= 1) return series;
  if (names.has(service)) return series.filter((one) => serviceOf(one) === service);
  const found = [...names].map((name) => name ?? 'no name').slice(0, 5);
  throw bad(`it has the counters of several services (${found.join(', ')}), and none of them is ${service}`);
}

/**
 * What says something about a version: people who send the canary header choose theirs themselves, `unknown` is what never came to
 * one, and what the proxy ended is its own.
 */
function isJudged({ labels }: Series): boolean {
  const cohort = labels.davy_cohort ?? 'weight';
  return cohort === 'weight' && versionOf(labels) !== 'unknown' && !isProxysOwn(labels);
}

function reporterProblem(series: readonly Series[]): string | null {
  const reporters = new Set(series.map((one) => one.labels.reporter));
  if (reporters.size <= 1) return null;
  const found = [...reporters].map((name) => (name === undefined ? 'none' : `"${name}"`));
  return `its series have the reporters ${found.join(' and ')}: a request that both sides report would count twice; query one, e.g. {reporter="destination"}`;
}

function versionProblem(series: readonly Series[]): string | null {
  const without = series.find((one) => versionOf(one.labels) === undefined);
  return without === undefined
    ? null
    : `a series of ${without.labels.__name__} has neither destination_version nor version: it says nothing about either version`;
}

/** The edges (ms) of all histograms, ascending. */
export function edgesOf(series: readonly Series[]): number[] {
  const edges = new Set<number>();
  for (const { labels } of series) {
    const le = Number(labels.le);
    if (labels.__name__ === BUCKET && Number.isFinite(le)) edges.add(le);
  }
  return [...edges].sort((a, b) => a - b);
}

/** An edge that one instance lacks would read as "all slow" or as "none slow". */
function edgeProblem(series: readonly Series[]): string | null {
  const wanted = new Set(series.filter((one) => one.labels.__name__ === BUCKET).map(edgeOf));
  if (wanted.size === 0) return null;
  wanted.add('+Inf');
  const found = new Map<string, Set<string>>();
  for (const one of series) {
    const key = `${instanceOf(one.labels)} of ${versionOf(one.labels)}`;
    const edges = found.get(key) ?? new Set();
    found.set(key, edges);
    if (one.labels.__name__ === BUCKET) edges.add(edgeOf(one));
  }
  for (const [key, edges] of found) {
    const missing = [...wanted].filter((le) => !edges.has(le));
    if (missing.length > 0) return `${key} has no ${BUCKET} with le="${missing.slice(0, 5).join('", "')}"`;
  }
  return null;
}

/** `5` and `5.0` are one edge: Prometheus 3 writes the second. */
function edgeOf({ labels }: Series): string {
  const { le = 'none' } = labels;
  return Number.isFinite(Number(le)) ? String(Number(le)) : le;
}

/** Every series must stand on the grid of the others: between two of its points another one's would look like a missing sample. */
function gridProblem(series: readonly Series[]): string | null {
  const times = [...new Set(series.flatMap((one) => one.values.map(([t]) => t)))].sort((a, b) => a - b);
  const stepS = smallestGap(series.map((one) => one.values.map(([t]) => t)));
  const unionS = smallestGap([times]);
  if (unionS >= stepS) return null;
  return `its answers have different times (${unionS} s apart, with a step of ${stepS} s): query both with the same start, end and step`;
}

function smallestGap(lists: readonly (readonly number[])[]): number {
  let gap = Number.POSITIVE_INFINITY;
  for (const times of lists) for (let i = 1; i < times.length; i++) gap = Math.min(gap, times[i]! - times[i - 1]!);
  return gap;
}

import type { InstanceTick, Tick } from '../metrics/tick.ts';

/** More than this is refused: the judge's work and state are bounded. */
const MAX_EDGES = 200;
const MAX_INSTANCES = 2_000;
const MAX_COUNT = 1e12;

/** What earlier ticks fixed: time only rises, and edges stay as they were for the whole release. */
export interface TickMemory {
  lastT: number | null;
  edges: readonly number[] | null;
}

/**
 * Why a tick cannot be judged, or null when it can. Whatever a source sends (NaN, negative or non-monotone counts, more
 * errors than requests, other edges, a clock that steps back) becomes a sentence here and "no usable data" in the
 * verdict: never an exception, never a zero, never a pass.
 */
export function problemOf(tick: Tick, memory: TickMemory): string | null {
  if (typeof tick !== 'object' || tick === null) return 'the tick is not an object';
  if (!Number.isFinite(tick.t)) return `its time is ${show(tick.t)}`;
  if (memory.lastT !== null && tick.t <= memory.lastT) {
    return `its time ${show(tick.t)} s does not follow ${show(memory.lastT)} s: a repeated reading or a clock that stepped back`;
  }
  if (!Number.isFinite(tick.dtMs) || tick.dtMs <= 0) return `its interval is ${show(tick.dtMs)} ms`;
  return problemOfEdges(tick.edges, memory.edges) ?? problemOfVersions(tick) ?? problemOfClients(tick);
}

function problemOfEdges(edges: unknown, before: readonly number[] | null): string | null {
  if (!Array.isArray(edges)) return 'it has no list of latency edges';
  if (edges.length > MAX_EDGES) return `it has ${edges.length} latency edges, the limit is ${MAX_EDGES}`;
  for (let j = 0; j < edges.length; j++) {
    const edge: unknown = edges[j];
    if (typeof edge !== 'number' || !Number.isFinite(edge) || edge <= 0)
      return `latency edge ${j + 1} is ${show(edge)}`;
    if (j > 0 && edge <= (edges[j - 1] as number)) return `latency edges do not rise: ${edges[j - 1]} then ${edge}`;
  }
  if (before === null || sameEdges(edges, before)) return null;
  return `its latency edges changed during the release (${before.length} edges before, ${edges.length} now)`;
}

function sameEdges(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let j = 0; j < a.length; j++) if (a[j] !== b[j]) return false;
  return true;
}

function problemOfVersions(tick: Tick): string | null {
  if (typeof tick.versions !== 'object' || tick.versions === null) return 'it has no versions';
  let instances = 0;
  for (const [version, rows] of Object.entries(tick.versions)) {
    if (!Array.isArray(rows)) return `version ${version} is not a list of instances`;
    instances += rows.length;
    if (instances > MAX_INSTANCES) return `it has more than ${MAX_INSTANCES} instances`;
    for (const row of rows) {
      const problem = problemOfInstance(row, tick.edges.length);
      if (problem !== null) return `${version}/${show(row?.instance)}: ${problem}`;
    }
  }
  return null;
}

function problemOfInstance(row: InstanceTick, edges: number): string | null {
  if (typeof row !== 'object' || row === null) return 'not an object';
  if (typeof row.instance !== 'string' || row.instance === '') return 'no instance name';
  const { requests, errors, over } = row;
  if (!isCount(requests)) return `requests is ${show(requests)}`;
  if (!isCount(errors)) return `errors is ${show(errors)}`;
  if (errors > requests) return `${errors} errors of ${requests} requests`;
  if (!Array.isArray(over) || over.length !== edges)
    return `it counts ${over?.length ?? 'no'} latency edges of ${edges}`;
  let before = requests;
  for (let j = 0; j < over.length; j++) {
    const count = over[j]!;
    if (!isCount(count)) return `the count above latency edge ${j + 1} is ${show(count)}`;
    if (count > before)
      return `more requests are slower than latency edge ${j + 1} (${count}) than before it (${before})`;
    before = count;
  }
  const problem = problemOfProgress(row);
  if (problem !== null) return problem;
  if (row.ageMs !== undefined && !Number.isFinite(row.ageMs)) return `its age is ${show(row.ageMs)} ms`;
  return null;
}

/** Requests in progress, where the source counts them. */
function problemOfProgress(row: InstanceTick): string | null {
  const { requests, errors, over, started, waiting, unanswered, unserved = 0, overdue = 0 } = row;
  if (started !== undefined && !isCount(started)) return `the number of requests sent is ${show(started)}`;
  if (unanswered !== undefined && !isCount(unanswered))
    return `the number of unanswered requests is ${show(unanswered)}`;
  const ended = requests + overdue;
  const lost = errors + unserved;
  if (!isCount(ended) || !isCount(lost) || lost > ended) return `${show(lost)} of ${show(ended)} requests are lost`;
  if (waiting === undefined) return null;
  if (!Array.isArray(waiting) || waiting.length !== over.length)
    return `it counts waiting requests at ${waiting?.length ?? 'no'} latency edges of ${over.length}`;
  for (let j = 0; j < waiting.length; j++) {
    const slow = over[j]! + waiting[j]!;
    if (!isCount(slow)) return `the count above latency edge ${j + 1} with those that wait is ${show(slow)}`;
  }
  return null;
}

/** Clients dealt, where clients are what is dealt. */
function problemOfClients({ clients }: Tick): string | null {
  if (clients === undefined) return null;
  if (typeof clients !== 'object' || clients === null || typeof clients.dealt !== 'object' || clients.dealt === null)
    return 'its clients are no counts by version';
  if (!isCount(clients.diverted)) return `the number of diverted requests is ${show(clients.diverted)}`;
  for (const [version, dealt] of Object.entries(clients.dealt))
    if (!isCount(dealt)) return `the clients dealt to ${version} are ${show(dealt)}`;
  return null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_COUNT;
}

function show(value: unknown): string {
  if (value === undefined) return 'missing';
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 60)) : String(value);
}

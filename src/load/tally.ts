import { own, setOwn } from '../lib/own.ts';
import { createLatencyHistogram, encodeHistogram, type LatencyHistogram, latencyFigures, recordMs } from './figures.ts';
import type { AnswerCheck } from './plan.ts';
import type { Answer } from './response-reader.ts';
import type { LoadCounts, LoadErrorClass, LoadResult } from './result.ts';

/** How one request ended. */
export interface Outcome {
  /** Null for a good answer. */
  error: LoadErrorClass | null;
  /** Null without an answer. */
  status: number | null;
}

/** One for each status: most requests end alike. */
const goodOutcomes: Outcome[] = [];

export function judgeAnswer(answer: Answer, check: AnswerCheck | null): Outcome {
  const { status } = answer;
  const expected = check?.statuses ? check.statuses.includes(status) : status < 400;
  if (!expected) {
    const error = status >= 500 ? 'status-5xx' : status >= 400 ? 'status-4xx' : 'check';
    return { status, error };
  }
  const text = check?.bodyIncludes ?? null;
  if (text !== null && !answer.body.includes(text)) return { status, error: 'check' };
  goodOutcomes[status] ??= { status, error: null };
  return goodOutcomes[status];
}

/** Counts and response times of one group of requests. */
export interface Tally {
  counts: LoadCounts;
  response: LatencyHistogram;
  /** The same without the lag of each request. Of a closed run, which has no lag, it is the same histogram. */
  punctual: LatencyHistogram;
}

function createTally(isOpen: boolean): Tally {
  const response = createLatencyHistogram();
  const punctual = isOpen ? createLatencyHistogram() : response;
  return { counts: { requests: 0, ok: 0, errors: {}, statuses: {} }, response, punctual };
}

/** Figures of a run, or of its warm-up. */
export interface RunFigures {
  offered: number;
  dropped: number;
  /** With an outcome. */
  sent: number;
  answeredInTime: number;
  perTarget: Tally[];
  service: LatencyHistogram;
  lag: LatencyHistogram;
  /** Waiting for one of the generator's own connections, of those that had to. */
  pool: LatencyHistogram;
}

export function createRunFigures(targets: number, isOpen: boolean): RunFigures {
  return {
    ...{ offered: 0, dropped: 0, sent: 0, answeredInTime: 0 },
    perTarget: Array.from({ length: targets }, () => createTally(isOpen)),
    service: createLatencyHistogram(),
    lag: createLatencyHistogram(),
    pool: createLatencyHistogram(),
  };
}

/** `lagMs`: how late the request was sent, which is a part of `responseMs`. */
export function tallyOutcome(tally: Tally, outcome: Outcome, responseMs: number, lagMs: number): void {
  const { counts } = tally;
  counts.requests++;
  if (outcome.error === null) counts.ok++;
  else counts.errors[outcome.error] = (counts.errors[outcome.error] ?? 0) + 1;
  if (outcome.status !== null) counts.statuses[outcome.status] = (counts.statuses[outcome.status] ?? 0) + 1;
  if (!hasLatency(outcome)) return;
  recordMs(tally.response, responseMs);
  if (tally.punctual !== tally.response) recordMs(tally.punctual, responseMs - lagMs);
}

/** Who was answered knows how long it took, and who waited in vain how long it took at least. */
export function hasLatency({ error, status }: Outcome): boolean {
  return status !== null || error === 'timeout' || error === 'pool';
}

export function targetFigures(name: string, tally: Tally, lag: LatencyHistogram): LoadResult['targets'][number] {
  return {
    name,
    ...tally.counts,
    response: latencyFigures(tally.response, { lag, punctual: tally.punctual }),
    histogram: encodeHistogram(tally.response),
    punctual: encodeHistogram(tally.punctual),
  };
}

/** The counts of all groups as those of one. */
export function mergeCounts(parts: readonly LoadCounts[]): LoadCounts {
  const counts: LoadCounts = { requests: 0, ok: 0, errors: {}, statuses: {} };
  for (const part of parts) {
    counts.requests += part.requests;
    counts.ok += part.ok;
    addTo(counts.errors, part.errors);
    addTo(counts.statuses, part.statuses);
  }
  return counts;
}

function addTo(into: Record<string, number>, from: Record<string, number>): void {
  for (const [name, count] of Object.entries(from)) setOwn(into, name, (own(into, name) ?? 0) + count);
}

/** All groups as one. */
export function mergeTallies(parts: readonly Tally[]): Tally {
  const all = { ...createTally(true), counts: mergeCounts(parts.map((part) => part.counts)) };
  for (const { response, punctual } of parts) {
    all.response.add(response);
    all.punctual.add(punctual);
  }
  return all;
}

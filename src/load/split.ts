import { DavyError } from '../lib/error.ts';
import { loadErrors } from './errors.ts';
import { encodeHistogram, type LatencyHistogram, latencyFigures, mergeHistograms } from './figures.ts';
import type { LoadPlan } from './plan.ts';
import type { LoadLive, LoadResult } from './result.ts';
import { mergeCounts } from './tally.ts';
import { validityOf } from './validity.ts';

const processesMax = 16;

/**
 * The parts of a plan that several processes run at once. Independent Poisson streams add up to one of the summed rate;
 * uniform ones do not stay uniform, but their sum keeps the rate.
 */
export function splitPlan(plan: LoadPlan, processes: number): LoadPlan[] {
  if (!(Number.isInteger(processes) && processes >= 1 && processes <= processesMax)) {
    throw new DavyError(
      loadErrors['bad-plan'],
      `The number of processes must be from 1 to ${processesMax}, not ${processes}.`,
    );
  }
  return Array.from({ length: processes }, (_, i) => partOf(plan, i, processes));
}

function partOf(plan: LoadPlan, index: number, of: number): LoadPlan {
  const { model } = plan;
  const share = (total: number): number => Math.max(1, Math.floor(total / of) + (index < total % of ? 1 : 0));
  return {
    ...plan,
    seed: (plan.seed + index) % 2 ** 32,
    maxConnections: share(plan.maxConnections),
    maxOutstanding: share(plan.maxOutstanding),
    model:
      model.kind === 'closed'
        ? { ...model, connections: share(model.connections) }
        : {
            ...model,
            stages: model.stages.map((stage) => ({
              ...stage,
              fromPerSecond: stage.fromPerSecond / of,
              toPerSecond: stage.toPerSecond / of,
            })),
          },
  };
}

/** The figures of all parts as those of one run, from the raw histograms; a quantile of quantiles would be no quantile. */
export function mergeResults(parts: readonly LoadResult[]): LoadResult {
  const [first] = parts;
  if (!first || parts.length === 1) return first!;
  const sum = (of: (part: LoadResult) => number): number => parts.reduce((total, part) => total + of(part), 0);
  const histogramOf = (name: keyof LoadResult['histograms']) =>
    mergeHistograms(parts.map((part) => part.histograms[name]));
  const [late, service] = [histogramOf('lag'), histogramOf('service')];
  const response = latencyFigures(histogramOf('response'), { lag: late, punctual: histogramOf('punctual') });
  const lag = latencyFigures(late);
  const [cpuShare, dropped] = [Math.max(...parts.map((part) => part.cpuShare)), sum((part) => part.dropped)];
  const offered = sum((part) => part.lag.count);
  const counts = mergeCounts(parts.map((part) => part.counts));
  return {
    ...first,
    validity: validityOf({ model: first.model, cpuShare, offered, dropped, counts, response, lag }),
    durationMs: Math.max(...parts.map((part) => part.durationMs)),
    offeredPerSecond: sum((part) => part.offeredPerSecond),
    sentPerSecond: sum((part) => part.sentPerSecond),
    achievedPerSecond: sum((part) => part.achievedPerSecond),
    ...{ dropped, cpuShare },
    ...{ counts, response, lag },
    service: latencyFigures(service, { lag: late, punctual: service }),
    pool: latencyFigures(histogramOf('pool')),
    targets: first.targets.map((target, i) =>
      mergeTargets(
        parts.map((part) => part.targets[i] ?? target),
        late,
      ),
    ),
    histograms: mergedText(parts),
  };
}

function mergeTargets(parts: LoadResult['targets'], lag: LatencyHistogram): LoadResult['targets'][number] {
  const merged = mergeHistograms(parts.map((part) => part.histogram));
  const punctual = mergeHistograms(parts.map((part) => part.punctual));
  return {
    name: parts[0]!.name,
    ...mergeCounts(parts),
    response: latencyFigures(merged, { lag, punctual }),
    histogram: encodeHistogram(merged),
    punctual: encodeHistogram(punctual),
  };
}

function mergedText(parts: readonly LoadResult[]): LoadResult['histograms'] {
  const of = (name: keyof LoadResult['histograms']): string =>
    encodeHistogram(mergeHistograms(parts.map((part) => part.histograms[name])));
  return {
    response: of('response'),
    punctual: of('punctual'),
    service: of('service'),
    lag: of('lag'),
    pool: of('pool'),
  };
}

/** What one of `processes` equal parts shows, as that of all. */
export function scaleLive(live: LoadLive, processes: number): LoadLive {
  const { offered, requests, errors, outstanding } = live;
  return {
    ...live,
    offered: offered * processes,
    requests: requests * processes,
    errors: errors * processes,
    outstanding: outstanding * processes,
  };
}
